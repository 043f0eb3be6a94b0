package sqlite

import (
	"fmt"
)

// KeyError says that the key is lost or does not fit the database. Nothing was changed.
type KeyError struct {
	Path, Database string
	Text           string
}

// Error says what is wrong, where, and how to fix it.
func (e *KeyError) Error() string {
	return told(e.Fault())
}

// Fault gives what is wrong and the fix.
func (e *KeyError) Fault() (wrong, fix string) {
	return fmt.Sprintf("the key file %s %s, and the passwords and secrets in %s cannot be read without it", e.Path, e.Text, e.Database),
		fmt.Sprintf("put the key back from a backup, or move %s away and add the users again", e.Database)
}

// NewerError says that a newer vpnd has written the database. Nothing was changed.
type NewerError struct {
	Path         string
	Found, Known int // versions of the database
}

// Error says what is wrong, where, and how to fix it.
func (e *NewerError) Error() string {
	return told(e.Fault())
}

// Fault gives what is wrong and the fix.
func (e *NewerError) Fault() (wrong, fix string) {
	return fmt.Sprintf("the user table %s has version %d, but this vpnd supports only versions up to %d", e.Path, e.Found, e.Known),
		"run the newer vpnd that wrote it, or restore an older backup"
}

// DamagedError says that the database cannot be read. Nothing was changed.
type DamagedError struct {
	Path string
	Text string
}

// Error says what is wrong, where, and how to fix it.
func (e *DamagedError) Error() string {
	return told(e.Fault())
}

// Fault gives what is wrong and the fix.
func (e *DamagedError) Fault() (wrong, fix string) {
	return fmt.Sprintf("the user table %s is damaged (%s)", e.Path, e.Text),
		"restore a backup, or move it away with its -wal and -shm files and add the users again"
}

// told is the text of an error after which nothing was changed.
func told(wrong, fix string) string { return wrong + ": " + fix + "; nothing was changed" }
