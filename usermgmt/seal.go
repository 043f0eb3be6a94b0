package usermgmt

import (
	"crypto/cipher"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"
)

const keyFile = "key"

var errUnseal = errors.New("sealed under another key, or damaged")

// A sealer seals fields at rest.
type sealer struct {
	aead cipher.AEAD
}

// loadKey reads the key of dir, and makes it when there is none and no database that would need
// the one that is lost.
func loadKey(dir string) (sealer, error) {
	path := filepath.Join(dir, keyFile)
	text, err := os.ReadFile(path) //nolint:gosec // the administrator names the folder
	if errors.Is(err, fs.ErrNotExist) {
		db := filepath.Join(dir, databaseFile)
		if info, statErr := os.Stat(db); statErr == nil && info.Size() > 0 {
			return sealer{}, &KeyError{Path: path, Database: db, Text: "is lost"}
		}
		text, err = makeKey(dir, path)
	}
	if err != nil {
		return sealer{}, err
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != chacha20poly1305.KeySize {
		return sealer{}, &KeyError{Path: path, Database: filepath.Join(dir, databaseFile), Text: "does not hold a key (64 hexadecimal digits)"}
	}
	if err := os.Chmod(path, filePerm); err != nil && !errors.Is(err, fs.ErrPermission) {
		return sealer{}, err
	}
	aead, err := chacha20poly1305.NewX(key)
	return sealer{aead}, err
}

// makeKey draws a key and puts it at path in one piece. When another process was faster it gives
// that one's.
func makeKey(dir, path string) ([]byte, error) {
	key := make([]byte, chacha20poly1305.KeySize)
	if _, err := rand.Read(key); err != nil {
		return nil, err
	}
	tmp, err := os.CreateTemp(dir, keyFile+".*")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	_, err = fmt.Fprintf(tmp, "%x\n", key)
	err = errors.Join(err, tmp.Chmod(filePerm), giveToOwner(dir, tmp), tmp.Sync(), tmp.Close())
	if err != nil {
		return nil, err
	}
	if err := os.Link(tmp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if err := syncDir(dir); err != nil {
		return nil, err
	}
	return os.ReadFile(path) //nolint:gosec // the administrator names the folder
}

// seal gives nonce and ciphertext of a field of a user; nil for an empty one.
func (s sealer) seal(user, field, text string) ([]byte, error) {
	if text == "" {
		return nil, nil
	}
	nonce := make([]byte, s.aead.NonceSize(), s.aead.NonceSize()+len(text)+s.aead.Overhead())
	if _, err := rand.Read(nonce); err != nil {
		return nil, err
	}
	return s.aead.Seal(nonce, nonce, []byte(text), associated(user, field)), nil
}

// unseal is the other way round.
func (s sealer) unseal(user, field string, sealed []byte) (string, error) {
	if len(sealed) == 0 {
		return "", nil
	}
	n := s.aead.NonceSize()
	if len(sealed) < n {
		return "", errUnseal
	}
	text, err := s.aead.Open(nil, sealed[:n], sealed[n:], associated(user, field))
	if err != nil {
		return "", errUnseal
	}
	return string(text), nil
}

// associated binds a sealed field to its place, so that it opens nowhere else.
func associated(user, field string) []byte {
	return []byte("vpnd user\x00" + fold(user) + "\x00" + field)
}
