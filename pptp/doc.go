// Package pptp is the Point-to-Point Tunneling Protocol, RFC 2637, as its access concentrator (PAC)
// speaks it to clients that dial in: the control connection (Control) and what a call does to
// numbered GRE packets (Receiver). It does no I/O, reads no clock and starts no goroutine: octets and
// the time go in, events come out.
//
// A dialling client is the PNS of the RFC: it opens the control connection and sends the
// Outgoing-Call-Request. Calls in the other direction (section 2.9) are refused.
package pptp
