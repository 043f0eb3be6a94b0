// Package mppe is Microsoft Point-to-Point Encryption: the packets of RFC 3078 and the keys of
// RFC 3079 that MS-CHAP and MS-CHAPv2 yield. It works in place and allocates nothing for a packet.
//
// MPPE is RC4 without a message authentication code. It only hides traffic from a casual listener.
// With a one-time password of 24 bits, it does not protect against anyone who records the log-in.
package mppe
