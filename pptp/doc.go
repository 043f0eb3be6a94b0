// Package pptp is the Point-to-Point Tunneling Protocol, RFC 2637, as its access concentrator (PAC)
// speaks it to clients that dial in. It has the control connection (Control), and the order and
// timing of numbered GRE packets (Receiver). It does no I/O, reads no clock and starts no
// goroutine. Bytes and the time go in, events come out.
//
// A dialling client is the PNS of the RFC: it opens the control connection and sends the
// Outgoing-Call-Request.
//
// RFC 2637, section by section:
//
//	2.1-2.4   Start- and Stop-Control-Connection: only version 1.0. A peer with another version
//	          gets an error.
//	2.5-2.6   Echo, both ways, every 60 s. The connection and calls of a peer that does not answer
//	          end.
//	2.7-2.8   Outgoing-Call: several on one connection. Any speeds and windows are accepted.
//	2.9-2.11  Incoming-Call: refused with a result. There is no line here for such calls.
//	2.12-2.13 Call-Clear and Call-Disconnect-Notify: done.
//	2.14-2.15 WAN-Error-Notify and Set-Link-Info: read and ignored. ACCM has no meaning without a
//	          serial line.
//	3.1       The states of the control connection, without the collision: a server dials nobody.
//	4.1       The enhanced GRE header, version 1.
//	4.2       We do not wait for a peer's receive window. Windows ignores it as well.
//	4.3       Out of order: put in order within a small window. Late packets are dropped.
//	4.4       Acknowledgements go with data, or without it within half a second. Time-outs are not
//	          adapted, because nothing waits for them.
package pptp
