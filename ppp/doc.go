// Package ppp is the engine of one PPP link (RFC 1661), at either end: phases, LCP, authentication
// (PAP, CHAP, MS-CHAP, MS-CHAPv2; the server itself by PAP), CCP with MPPE, and IPCP. It does no
// I/O, reads no clock and starts no goroutine: frames and the time go in, events come out.
//
// The owner calls Start, then Receive for each frame and Tick at each Deadline. After each call it
// drains Next. An Engine is one state machine: its methods must not run at the same time.
//
// Implemented, and not implemented:
//
//	RFC 1661  3.7      phases; exception: a peer that hangs up loses the call with its
//	                   Terminate-Ack and gets no restart time to end it by itself: if xl2tpd
//	                   ends a call, it does not dial again while its tunnel is open
//	          4.1-4.6  the automaton, every cell but the passive and restart options
//	          5        all codes; Code-Reject and Protocol-Reject cut to the peer's MRU
//	          6.1      MRU: we ask for ours; the smaller of both limits each direction
//	          6.2      authentication; Quality Protocol (6.3) is rejected: no peer asks for it
//	          6.4      magic number, with loopback detection
//	          6.5-6.6  PFC and ACFC: both forms are always accepted; we send the short forms if
//	                   the peer asks for them
//	RFC 1662  7.1      the asyncmap is accepted without effect: no bytes are escaped here
//	RFC 1570  2.1-2.2  Identification and Time-Remaining are logged; callback (2.3) and the rest
//	                   are rejected
//	RFC 1334  2        PAP; either end can authenticate itself (Config.Mutual)
//	RFC 1994           CHAP with MD5, also on the open link (Config.Rechallenge)
//	RFC 2433, 2759     MS-CHAP 1 and 2; the engine offers retry; no Change-Password
//	RFC 1962           CCP only with MPPE; Reset-Request and Reset-Ack
//	RFC 3078, 3079     MPPE of 40, 56 and 128 bits, stateless and stateful; no MPPC compression
//	RFC 1332           IP-Address; IP-Compression-Protocol (VJ) is rejected
//	RFC 1877           primary and secondary DNS and NBNS
//	RFC 5072           not yet: IPV6CP is Protocol-Rejected
//	RFC 3748 (EAP), 1990 (multilink): refused in LCP
package ppp
