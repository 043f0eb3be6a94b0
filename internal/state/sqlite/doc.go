// Package sqlite keeps the state in SQLite, in a folder that several processes may use at once. It
// reads a clock to date changes, and for nothing else.
//
// The folder holds users.db (with users.db-wal and users.db-shm while in use) and key. Passwords,
// secrets of tokens, PINs and settings are sealed by XChaCha20-Poly1305 under that key: CHAP needs them
// in clear text, so they cannot be hashes. A copy of the database tells nothing without the key; a
// back-up needs both.
package sqlite
