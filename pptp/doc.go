// Package pptp is the Point-to-Point Tunneling Protocol, RFC 2637, as its access concentrator (PAC)
// speaks it to clients that dial in: the control connection (Control) and what a call does to
// numbered GRE packets (Receiver). It does no I/O, reads no clock and starts no goroutine: bytes and
// the time go in, events come out.
//
// A dialling client is the PNS of the RFC: it opens the control connection and sends the
// Outgoing-Call-Request.
//
// The parts of RFC 2637 that are implemented, and those that are not:
//
//	2.1-2.4   Start- and Stop-Control-Connection: only version 1.0; a peer with another one gets an error
//	2.5-2.6   Echo, both ways, every 60 s; a peer that does not answer ends with its calls
//	2.7-2.8   Outgoing-Call: several on one connection; speeds and windows are taken as they come
//	2.9-2.11  Incoming-Call: refused with a result, there is no line here on which calls come in
//	2.12-2.13 Call-Clear and Call-Disconnect-Notify
//	2.14-2.15 WAN-Error-Notify and Set-Link-Info: taken; accm has no meaning without a serial line
//	3.1       the states of the control connection, without its collision: a server dials nobody
//	4.1       the enhanced GRE header, version 1
//	4.2       the receive window of a peer is not waited for: Windows ignores it as well
//	4.3       out of order: put in order within a small window, late packets dropped
//	4.4       acknowledgements go with data or, within half a second, alone; time-outs are not adapted,
//	          for nothing waits for them
package pptp
