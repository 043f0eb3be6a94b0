// Package ppp is the engine of one PPP link (RFC 1661), at either end: phases, LCP, authentication
// (PAP, CHAP, MS-CHAP, MS-CHAPv2; of the server, PAP), CCP with MPPE, and IPCP. It does no I/O, reads
// no clock and starts no goroutine: frames and the time go in, events come out.
//
// The owner calls Start, Receive, Tick when Deadline has come, and after each call drains Next. An
// Engine is one state machine: its methods must not run at the same time.
package ppp
