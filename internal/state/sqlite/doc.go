// Package sqlite keeps the state in SQLite, in a folder that several processes may use at once. It
// reads a clock only to date changes.
//
// The folder holds users.db (with users.db-wal and users.db-shm while in use) and key. Passwords,
// secrets of tokens, PINs and settings are sealed with that key (XChaCha20-Poly1305). CHAP needs
// them in clear text, so they cannot be hashes. A copy of the database reveals no secrets without
// the key. A backup needs both.
package sqlite
