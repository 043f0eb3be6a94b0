// Package mppe is Microsoft Point-to-Point Encryption: the packets of RFC 3078 and the keys of
// RFC 3079 that MS-CHAP and MS-CHAPv2 give. It works in place and allocates nothing a packet.
//
// MPPE is RC4 without a message authentication code. It hides traffic from a casual listener and
// no more; with a one-time password of 24 bits it does not even do that against a recording.
package mppe
