// Package wire is the format of PPTP (RFC 2637): the fifteen control messages of section 2 and
// the enhanced GRE header of section 4.1. Each has Parse and Append, which keep no state between
// calls.
//
// Reserved fields are sent as zero and ignored on receipt. A text field ends at the first zero
// byte. Text that is too long is cut.
package wire
