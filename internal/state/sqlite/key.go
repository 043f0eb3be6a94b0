package sqlite

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"vpnd/internal/atomicfile"
	"vpnd/internal/state"
	"vpnd/usermgmt"

	"golang.org/x/crypto/chacha20poly1305"
)

// keyFile is the file with the key. A key that is about to replace it is in a file whose name
// begins with "key.". The database says which of them it is sealed under, so a kill at any moment
// does not lose the key: a new key is on the disk before a transaction seals everything again, and
// is moved to its place after that. A process that finds the right key in another file moves it
// there.
const keyFile = "key"

// keyCheck is sealed into the database to tell whether a key fits.
const keyCheck = "key_check"

// keyTries limits how often the key is looked for, because others may be changing it meanwhile.
const keyTries = 4

// readKey reads a key file. The error is a KeyError if the file exists and holds no key.
func (s *Store) readKey(path string) (*sealer, error) {
	text, err := os.ReadFile(path) //nolint:gosec // the administrator names the folder
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &KeyError{path, s.path, "is lost"}
	case err != nil:
		return nil, err
	}
	key, err := parseKey(text)
	if err != nil {
		return nil, &KeyError{path, s.path, err.Error()}
	}
	if s.inMemory {
		return newSealer(key)
	}
	if err := os.Chmod(path, filePerm); err != nil && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return newSealer(key)
}

func parseKey(text []byte) ([]byte, error) {
	key, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != chacha20poly1305.KeySize {
		return nil, errors.New("does not hold a key (64 hexadecimal digits)")
	}
	return key, nil
}

// firstKey reads the key for a database that is not sealed yet, or makes one if there is none.
func (s *Store) firstKey() (*sealer, error) {
	path := filepath.Join(s.dir, keyFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return drawKey(path)
	}
	return s.readKey(path)
}

// drawKey draws a key and puts it into a file.
func drawKey(path string) (*sealer, error) {
	key := make([]byte, chacha20poly1305.KeySize)
	if _, err := rand.Read(key); err != nil {
		return nil, err
	}
	err := atomicfile.Write(path, filePerm, func(file *os.File) error {
		_, err := fmt.Fprintf(file, "%x\n", key)
		return errors.Join(err, giveToOwner(filepath.Dir(path), file))
	})
	if err != nil {
		return nil, err
	}
	return newSealer(key)
}

// openKey finds the key under which the database is sealed.
func (s *Store) openKey(ctx context.Context) error {
	seal, path, err := s.findKey(ctx, s.db)
	if err != nil {
		return s.damaged(err)
	}
	s.seal.Store(seal)
	if proper := filepath.Join(s.dir, keyFile); path != proper && !s.inMemory {
		return s.settle(path, proper)
	}
	return nil
}

// settle moves a key that fits to its place, unless another process was faster.
func (s *Store) settle(path, proper string) error {
	if err := atomicfile.Rename(path, proper); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// findKey tries the existing keys on the database. The error is a KeyError if none of them fits.
func (s *Store) findKey(ctx context.Context, q querier) (seal *sealer, path string, err error) {
	for range keyTries {
		check, checkErr := readCheck(ctx, q)
		if checkErr != nil {
			return nil, "", s.lacksCheck(checkErr)
		}
		proper := filepath.Join(s.dir, keyFile)
		paths, globErr := filepath.Glob(filepath.Join(s.dir, keyFile+".*"))
		if globErr != nil {
			return nil, "", globErr
		}
		err = nil
		for _, path := range append([]string{proper}, paths...) {
			seal, keyErr := s.readKey(path)
			if keyErr == nil && seal.fits(check) {
				seal.check = check
				return seal, path, nil
			}
			if path == proper {
				err = keyErr
			}
		}
		if err == nil {
			err = &KeyError{proper, s.path, "is not the key with which this user table was sealed"}
		}
	}
	return nil, "", err
}

// fits reports whether a database with that key check is sealed under the key.
func (s *sealer) fits(check []byte) bool {
	text, err := s.unseal("", keyCheck, check)
	return err == nil && text == keyCheck
}

func readCheck(ctx context.Context, q querier) (check []byte, err error) {
	err = q.QueryRowContext(ctx, `SELECT value FROM meta WHERE name = ?`, keyCheck).Scan(&check)
	return check, err
}

func (s *Store) lacksCheck(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return &DamagedError{s.path, "it lacks its key check"}
	}
	return err
}

// sealWithCurrent makes sure that a writing transaction seals under the database's key, which
// another process may have changed.
func (s *Store) sealWithCurrent(ctx context.Context, tx *sql.Tx) error {
	check, err := readCheck(ctx, tx)
	if err != nil {
		return s.lacksCheck(err)
	}
	if bytes.Equal(check, s.seal.Load().check) {
		return nil
	}
	seal, _, err := s.findKey(ctx, tx)
	if err == nil {
		s.seal.Store(seal)
	}
	return err
}

// unsealing runs do with the key. It runs do again if the data that do has read was sealed under a
// new key of another process.
func (s *Store) unsealing(ctx context.Context, q querier, do func(*sealer) error) error {
	var err error
	for range keyTries {
		seal := s.seal.Load()
		if err = do(seal); !errors.Is(err, errUnseal) {
			return err
		}
		found, _, findErr := s.findKey(ctx, q)
		if findErr != nil {
			return findErr
		}
		if bytes.Equal(found.key, seal.key) {
			return err
		}
		s.seal.CompareAndSwap(seal, found)
	}
	return err
}

// Rekey draws a new key and seals everything under it, in one transaction. Other processes that
// have the folder open take the new key when they next need it. A kill at any moment leaves either
// key in force. The files keep nothing that was sealed under the old key.
func (s *Store) Rekey(ctx context.Context) error {
	proper := filepath.Join(s.dir, keyFile)
	path := proper + "." + rand.Text()
	var next *sealer
	err := s.change(ctx, func(tx *sql.Tx, _ *usermgmt.Change) error {
		if err := s.tidyKeys(ctx, tx, proper); err != nil {
			return err
		}
		profiles, err := s.list(ctx, tx)
		if err != nil {
			return err
		}
		settings, err := s.settings(ctx, tx)
		if err != nil {
			return err
		}
		if next, err = drawKey(path); err != nil {
			return err
		}
		err = errors.Join(s.reseal(ctx, tx, next, profiles), putSettings(ctx, tx, next, settings))
		if err != nil {
			return errors.Join(err, os.Remove(path))
		}
		return nil
	})
	// After an error the new key stays where it is: the transaction may still be on the disk.
	if err != nil {
		return err
	}
	s.seal.Store(next)
	if err := s.settle(path, proper); err != nil {
		return err
	}
	if err := s.purge(ctx); err != nil {
		return fmt.Errorf("the new key is active, but copies sealed with the old key may remain until the daemon restarts: %w", err)
	}
	return nil
}

// tidyKeys moves the key to its place and removes all others, which fit nothing. It runs in a
// writing transaction, so that no other process has just made one.
func (s *Store) tidyKeys(ctx context.Context, tx *sql.Tx, proper string) error {
	_, path, err := s.findKey(ctx, tx)
	if err == nil && path != proper {
		err = s.settle(path, proper)
	}
	if err != nil {
		return err
	}
	others, err := filepath.Glob(proper + ".*")
	if err != nil {
		return err
	}
	for _, other := range others {
		if err := os.Remove(other); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (s *Store) reseal(ctx context.Context, tx *sql.Tx, next *sealer, profiles []usermgmt.Profile) error {
	columns := make([]string, len(usermgmt.Secrets))
	for i, f := range usermgmt.Secrets {
		columns[i] = f.Column + " = ?"
	}
	update := `UPDATE users SET ` + strings.Join(columns, ", ") + ` WHERE fold = ?` //nolint:gosec // columns of Fields
	for _, p := range profiles {
		sealed, err := next.sealSecrets(&p)
		if err != nil {
			return err
		}
		args := make([]any, 0, len(sealed)+1)
		for _, blob := range sealed {
			args = append(args, blob)
		}
		if _, err := tx.ExecContext(ctx, update, append(args, usermgmt.Fold(p.Name))...); err != nil {
			return err
		}
	}
	admins, err := listAdministrators(ctx, tx, s.seal.Load())
	if err != nil {
		return err
	}
	for _, a := range admins {
		sealed, err := next.seal(a.Name, adminTOTP, a.TOTPSecret)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE administrators SET totp_secret = ? WHERE fold = ?`, sealed, usermgmt.Fold(a.Name)); err != nil {
			return err
		}
	}
	if next.check, err = next.seal("", keyCheck, keyCheck); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE meta SET value = ? WHERE name = ?`, next.check, keyCheck); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `INSERT OR IGNORE INTO meta VALUES (?, 1)`, purgeDue); err != nil {
		return err
	}
	return s.recordChange(ctx, tx, state.EventRekeyed, "", "")
}
