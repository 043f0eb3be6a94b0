// Package usermgmt holds the users: their profiles, the rules for them, and the interface of the
// table that stores them. It does no I/O and reads no clock; internal/state has the implementations
// of the table.
package usermgmt
