package sqlite

import (
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"vpnd/usermgmt"

	"golang.org/x/crypto/chacha20poly1305"
)

var errUnseal = errors.New("sealed with another key, or damaged")

// A sealer seals fields at rest.
type sealer struct {
	key   []byte
	aead  cipher.AEAD
	check []byte // key check of the database that it has opened
}

func newSealer(key []byte) (*sealer, error) {
	aead, err := chacha20poly1305.NewX(key)
	return &sealer{key: key, aead: aead}, err
}

// seal gives nonce and ciphertext of a field of a user; nil for an empty one.
func (s *sealer) seal(user, field, text string) ([]byte, error) {
	if text == "" {
		return nil, nil
	}
	nonce := make([]byte, s.aead.NonceSize(), s.aead.NonceSize()+len(text)+s.aead.Overhead())
	if _, err := rand.Read(nonce); err != nil {
		return nil, err
	}
	return s.aead.Seal(nonce, nonce, []byte(text), associated(user, field)), nil
}

// unseal is the inverse of seal.
func (s *sealer) unseal(user, field string, sealed []byte) (string, error) {
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

// associated ties a sealed field to its place, so that it cannot be unsealed elsewhere.
func associated(user, field string) []byte {
	return []byte("vpnd user\x00" + usermgmt.Fold(user) + "\x00" + field)
}
