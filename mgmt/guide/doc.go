// Package guide holds what a person is told: why a dial-in failed and what to do about it, how a client is set
// up, and what the error numbers of clients mean. It is texts and the rules that pick them, and nothing else.
package guide
