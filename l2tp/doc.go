// Package l2tp is the Layer Two Tunneling Protocol, RFC 2661, as a network server (LNS) speaks it to
// clients that dial in, and as such a client (LAC) does: one Tunnel per peer, with its reliable control
// channel and its sessions. It does no I/O, reads no clock and starts no goroutine: messages and the time
// go in, events come out.
//
// RFC 2661, section by section:
//
//	2        The client is LAC and remote system in one; a LAC that takes others' calls dials in alike.
//	3.1      In l2tp/wire. All bits are read: T, L, S, O, P. A control message must have L and S, and no
//	         offset; padding behind its length is passed over. Other versions (L2F, L2TPv3) are dropped. What
//	         we send has no offset and no priority, and a data message no length.
//	3.2      All message types are known. An unknown one with the M bit ends the tunnel (4.4.1), without it
//	         is acknowledged.
//	4.1      A message whose AVPs' lengths lie is dropped whole, without an answer: the peer repeats it, or
//	         dies of it. Reserved bits make an AVP unknown.
//	4.2      An unknown AVP with the M bit ends the call, in a message of a call, or else the tunnel (result 2,
//	         error 8). A known one in the wrong message, or whose value has the wrong length, is passed over:
//	         clients differ too much.
//	4.3      Hidden AVPs are read in every message. Of ours the session identifiers are hidden, if
//	         Config.Hide says so; other values are no secret, and xl2tpd cannot read a hidden tunnel identifier.
//	4.4.1    Message Type, Random Vector: done.
//	4.4.2    Result Code: read with and without an error code and message, and in the byte order of Apple's
//	         clients. Of ours, StopCCN has 2 (errors 4, 8), 4, 5 and 6, CDN 2 (error 8), 3, 4 and 5.
//	4.4.3    Protocol Version (a revision is passed over), Host Name, Assigned Tunnel ID, Receive Window Size,
//	         Challenge and Challenge Response: done. Framing and Bearer Capabilities, Firmware Revision and
//	         Vendor Name are passed over, and the latter three not sent: nothing depends on them. The Tie Breaker
//	         is passed over: a server never dials its clients, so no two tunnels meet.
//	4.4.4    Assigned Session ID, Sequencing Required: done. Call Serial Number, Tx Connect Speed and Framing
//	         Type are sent by the client. All others (numbers, bearer, speeds, channel, group, cause) are of
//	         telephone lines, and passed over.
//	4.4.5    Proxy LCP and authentication are passed over: LCP is negotiated again, and nobody is believed to
//	         have authenticated a user for us.
//	4.4.6    Call Errors, ACCM: acknowledged with their WEN and SLI. There is no serial line here.
//	5.1      Done, tunnel authentication (5.1.1) included, both ways. A tunnel whose identifier the peer
//	         has not repeated yet is cheap: see l2tp/server. D-Link's DIR-300 never repeats it: the response to
//	         our challenge does instead, or the identifier of its one call.
//	5.2.1    Incoming calls: done. A call is handed over at its ICRQ: the first PPP frame may overtake the ICCN.
//	         That of a tunnel which has shown nothing yet is handed over at its ICCN. The ICCN confirms a call:
//	         LCP begins with it.
//	5.2.2    Outgoing calls: not done, there is nobody to be called. An OCRQ is refused with a CDN.
//	5.3      In l2tp/data: frames pass as they are, with address and control field.
//	5.4      Numbers are sent if the peer requires them (AVP 39) or sends them. Late and doubled messages are
//	         dropped then. Lost ones are not waited for.
//	5.5      Hello after Config.HelloInterval of silence, in which data counts as speech. A peer that acknowledges
//	         no Hello, but sends data, lives: Android is so.
//	5.6      CDN both ways; its session is found by either identifier.
//	5.7      StopCCN both ways. Ours is repeated, and a stopped tunnel answers the peer's repetitions, for 5
//	         seconds instead of a full cycle of 31, to free the place sooner.
//	5.8      Done: numbers modulo 65536, the peer's window, slow start and congestion avoidance (appendix A),
//	         acknowledgements at once. A message is sent five times, after 1, 2, 4 and 8 seconds, and is given up
//	         after 8 more; that ends the tunnel only if nothing at all of the peer's came meanwhile. Messages
//	         that come before their turn are not kept: the peer repeats them. A message that acknowledges what
//	         was never sent is dropped.
//	6        Messages have the AVPs that must be there, and of the others those named above. A message without
//	         the AVP that it is about (an ICRQ without a session) is acknowledged, and nothing else.
//	7.2      Of the server's states and the client's. A message that does not fit the state is acknowledged
//	         and passed over, where the RFC would clear the tunnel: it may be a stray one.
//	7.3      A handshake ends after Config.HandshakeTimeout, a tunnel without a call after Config.IdleTimeout.
//	         How long a call may take to come up is the session's concern.
//	7.4, 7.6 Incoming calls, and the end of a tunnel: done. 7.5, outgoing calls, is not.
//	8.1      UDP: in l2tp/server and l2tp/client. The server answers from the address that the peer dialled, to
//	         the port that it used; neither end moves to another port. 8.2 leaves other media to others.
//	9        Identifiers and challenges are random. Datagrams from another address or port than the peer's are
//	         dropped. IPsec (9.4) is the system's.
package l2tp
