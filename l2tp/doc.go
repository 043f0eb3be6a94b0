// Package l2tp is the Layer Two Tunneling Protocol, RFC 2661, as a network server (LNS) speaks it to
// clients that dial in, and as such a client (LAC) does: one Tunnel a peer, with its reliable control
// channel and its sessions. It does no I/O, reads no clock and starts no goroutine: messages and the time
// go in, events come out.
//
// By section: 3.1 and 4 are in l2tp/wire, hidden AVPs included. 5.1 (tunnel, with authentication) and
// 5.2 (incoming calls) are here; outgoing calls (5.2.2) are refused with a CDN. 5.4 (sequencing) is
// done when the peer asks for it or sends numbers. 5.5 Hello, 5.6 and 5.7 (ends), 5.8 (reliable
// delivery, with the slow start of appendix A) are here. A tie breaker (4.4.3) is passed over: a
// server never begins a tunnel, and a client takes none. Proxy LCP and authentication (4.4.5) are passed over: LCP is negotiated
// anew. WEN and SLI are acknowledged.
package l2tp
