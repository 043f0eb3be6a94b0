// Package l2tp is the Layer Two Tunneling Protocol, RFC 2661. It has both ends: the network server
// (LNS) for clients that dial in, and such a client (LAC). There is one Tunnel per peer, with its
// reliable control channel and its sessions. A Tunnel does no I/O, reads no clock and starts no
// goroutine. Messages and the time go in, events come out.
//
// RFC 2661, section by section:
//
//	2        The client is LAC and remote system in one. A LAC that takes others' calls dials in
//	         the same way.
//	3.1      In l2tp/wire. All bits are read: T, L, S, O, P. A control message must have L and S,
//	         and no offset. Padding behind its length is ignored. Other versions (L2F, L2TPv3) are
//	         dropped. Our messages have no offset and no priority. Our data messages have no
//	         length.
//	3.2      All message types are known. An unknown one with the M bit ends the tunnel (4.4.1).
//	         Without it, the message is acknowledged.
//	4.1      A message with wrong AVP lengths is dropped whole, without an answer. The peer
//	         repeats it, or gives up. Reserved bits make an AVP unknown.
//	4.2      An unknown AVP with the M bit in a message of a call ends the call. In another
//	         message it ends the tunnel (result 2, error 8). A known one in the wrong message, or
//	         with a value of the wrong length, is ignored: clients differ too much.
//	4.3      Hidden AVPs are read in every message. Of our AVPs, the session identifiers are
//	         hidden if Config.Hide is set. Other values are no secret, and xl2tpd cannot read a
//	         hidden tunnel identifier.
//	4.4.1    Message Type, Random Vector: done.
//	4.4.2    Result Code: read with and without an error code and message, and in the byte order
//	         of Apple's clients. Our StopCCN has 2 (errors 4, 8), 4, 5 and 6. Our CDN has 2 (error
//	         8), 3, 4 and 5.
//	4.4.3    Protocol Version (its revision is ignored), Host Name, Assigned Tunnel ID, Receive
//	         Window Size, Challenge and Challenge Response: done. Framing and Bearer Capabilities,
//	         Firmware Revision and Vendor Name are ignored, and the latter three are not sent:
//	         nothing depends on them. The Tie Breaker is ignored: a server never dials its
//	         clients, so two tunnels never meet.
//	4.4.4    Assigned Session ID, Sequencing Required: done. The client sends Call Serial Number,
//	         Tx Connect Speed and Framing Type. All others (numbers, bearer, speeds, channel,
//	         group, cause) belong to telephone lines, and are ignored.
//	4.4.5    Proxy LCP and authentication are ignored. LCP is negotiated again, and we trust
//	         nobody to have authenticated a user for us.
//	4.4.6    Call Errors, ACCM: acknowledged with their WEN and SLI. There is no serial line here.
//	5.1      Done, tunnel authentication (5.1.1) included, both ways. A tunnel whose identifier
//	         the peer has not repeated yet costs little: see l2tp/server. D-Link's DIR-300 never
//	         repeats it. Its proof is the response to our challenge, or the identifier of its one
//	         call.
//	5.2.1    Incoming calls: done. A call is handed over at its ICRQ, because the first PPP frame
//	         may overtake the ICCN. If the peer has not shown yet that it hears us, the call is
//	         handed over at its ICCN. The ICCN confirms a call, and LCP begins with it.
//	5.2.2    Outgoing calls: not done, because there is nobody to call. A CDN refuses an OCRQ.
//	5.3      In l2tp/data: frames pass unchanged, with address and control field.
//	5.4      Numbers are sent if the peer requires them (AVP 39) or sends them. Late and doubled
//	         messages are then dropped. Nothing waits for lost ones.
//	5.5      Hello after Config.HelloInterval of silence. Data breaks the silence. A peer that
//	         acknowledges no Hello, but sends data, is alive, as Android is.
//	5.6      CDN both ways. Either identifier finds its session.
//	5.7      StopCCN both ways. Ours is repeated, and a stopped tunnel answers the peer's
//	         repetitions, for 5 seconds instead of a full cycle of 31, to free the place sooner.
//	5.8      Done: numbers modulo 65536, the peer's window, slow start and congestion avoidance
//	         (appendix A), acknowledgements at once. A message is sent five times, after 1, 2, 4
//	         and 8 seconds, and is given up after 8 more. That ends the tunnel only if the peer
//	         has sent nothing at all meanwhile. Messages ahead of their turn are not kept: the
//	         peer repeats them. A message that acknowledges an unsent number is dropped.
//	6        Messages have the required AVPs, and of the others those named above. A message
//	         without its main AVP (an ICRQ without a session) is only acknowledged.
//	7.2      The states of the server and of the client. A message that does not fit the state is
//	         acknowledged and ignored. The RFC would clear the tunnel, but the message may be a
//	         stray one.
//	7.3      A handshake ends after Config.HandshakeTimeout, a tunnel without a call after
//	         Config.IdleTimeout. The session limits the time that a call takes to come up.
//	7.4, 7.6 Incoming calls, and the end of a tunnel: done. 7.5, outgoing calls, is not.
//	8.1      UDP: in l2tp/server and l2tp/client. The server answers from the address that the
//	         peer dialled, to the port that the peer used. Neither end moves to another port. 8.2
//	         leaves other media to others.
//	9        Identifiers and challenges are random. Datagrams from an address or port other than
//	         the peer's are dropped. IPsec (9.4) is the system's task.
package l2tp
