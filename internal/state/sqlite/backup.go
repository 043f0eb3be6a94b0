package sqlite

import (
	"archive/tar"
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
	"vpnd/internal/atomicfile"
	"vpnd/internal/state"
)

// A backup is a tar file with two files: the key, and a database that is complete by itself.

const (
	restorePrefix = "restore."
	maxKeyFile    = 4096    // bytes
	maxDatabase   = 1 << 34 // bytes
)

// OccupiedError says that a folder already holds a user table. Nothing was changed.
type OccupiedError struct {
	Path string
}

// Error says what is wrong, where, and how to fix it.
func (e *OccupiedError) Error() string {
	return fmt.Sprintf("%s exists already and is not overwritten: stop the daemon and move users.db, users.db-wal, users.db-shm and key "+
		"away from %s, or set another state_dir; nothing was changed", e.Path, filepath.Dir(e.Path))
}

// Backup writes the current table and its key to w, while others use it. It first copies the
// database within its own folder.
func (s *Store) Backup(ctx context.Context, w io.Writer) error {
	atomicfile.Sweep(s.dir)
	snapshot, err := atomicfile.Part(s.dir)
	if err != nil {
		return err
	}
	defer func() { _, _ = os.Remove(snapshot.Name()), snapshot.Close() }()
	seal, err := s.snapshot(ctx, snapshot.Name())
	if err != nil {
		return s.damaged(err)
	}
	info, err := snapshot.Stat()
	if err != nil {
		return err
	}
	archive := tar.NewWriter(w)
	key := fmt.Sprintf("%x\n", seal.key)
	header := func(name string, size int64) *tar.Header {
		return &tar.Header{Name: name, Mode: filePerm, Size: size, ModTime: s.opts.Now().Truncate(time.Second)}
	}
	if err := archive.WriteHeader(header(keyFile, int64(len(key)))); err != nil {
		return err
	}
	if _, err := io.WriteString(archive, key); err != nil {
		return err
	}
	if err := archive.WriteHeader(header(databaseFile, info.Size())); err != nil {
		return err
	}
	if _, err := io.Copy(archive, snapshot); err != nil {
		return err
	}
	return archive.Close()
}

// snapshot copies the database into an empty file, and gives the key under which the copy is
// sealed.
func (s *Store) snapshot(ctx context.Context, path string) (*sealer, error) {
	for range keyTries {
		seal := s.seal.Load()
		if err := os.Truncate(path, 0); err != nil {
			return nil, err
		}
		if _, err := s.db.ExecContext(ctx, `VACUUM INTO ?`, path); err != nil {
			return nil, err
		}
		check, err := checkOf(ctx, path)
		if err != nil {
			return nil, err
		}
		if seal.fits(check) {
			return seal, nil
		}
		// Another process has changed the key.
		if seal, _, err = s.findKey(ctx, s.db); err != nil {
			return nil, err
		}
		s.seal.Store(seal)
	}
	return nil, errors.New("the key changes again and again")
}

func checkOf(ctx context.Context, path string) ([]byte, error) {
	db, err := sql.Open("sqlite", path)
	if err != nil {
		return nil, err
	}
	check, err := readCheck(ctx, db)
	return check, errors.Join(err, db.Close())
}

// Restore puts a backup into dir, which must not hold a user table, and gives the number of users.
// The error may be an OccupiedError. After a kill the next Restore completes the work.
func Restore(ctx context.Context, dir string, backup io.Reader) (users int, err error) {
	if dir, err = filepath.Abs(dir); err != nil {
		return 0, err
	}
	if err := prepareFolder(dir); err != nil {
		return 0, err
	}
	if left, err := filepath.Glob(filepath.Join(dir, restorePrefix+"*")); err == nil {
		for _, path := range left {
			if err := os.RemoveAll(path); err != nil {
				return 0, err
			}
		}
	}
	if info, err := os.Stat(filepath.Join(dir, databaseFile)); err == nil && info.Size() > 0 {
		return 0, &OccupiedError{filepath.Join(dir, databaseFile)}
	}
	tmp, err := os.MkdirTemp(dir, restorePrefix)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	if err := unpack(tmp, backup); err != nil {
		return 0, fmt.Errorf("this is not a complete backup of vpnd: %w; nothing was changed", err)
	}
	if users, err = inspect(ctx, tmp); err != nil {
		return 0, fmt.Errorf("the backup: %w", err)
	}
	return users, install(dir, tmp)
}

// unpack reads the two files of a backup into dir.
func unpack(dir string, backup io.Reader) error {
	archive := tar.NewReader(backup)
	for _, want := range []struct {
		name string
		most int64
	}{{keyFile, maxKeyFile}, {databaseFile, maxDatabase}} {
		header, err := archive.Next()
		switch {
		case errors.Is(err, io.EOF):
			return fmt.Errorf("it has no file %s", want.name)
		case err != nil:
			return err
		case header.Name != want.name || header.Typeflag != tar.TypeReg || header.Size > want.most:
			return fmt.Errorf("it has %q in the place of %s", header.Name, want.name)
		}
		file, err := os.OpenFile(filepath.Join(dir, want.name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, filePerm) //nolint:gosec // one of two names, in a folder of ours
		if err != nil {
			return err
		}
		_, err = io.Copy(file, archive) //nolint:gosec // the size is bounded above
		if err := errors.Join(err, file.Chmod(filePerm), giveToOwner(filepath.Dir(dir), file), file.Close()); err != nil {
			return err
		}
	}
	return nil
}

// inspect opens a table, migrates it, and unseals and counts its users.
func inspect(ctx context.Context, dir string) (int, error) {
	s, err := open(ctx, dir, state.Options{})
	if err != nil {
		return 0, err
	}
	all, err := s.List(ctx)
	return len(all), errors.Join(err, s.Close())
}

// install moves key and database from tmp to dir. The key comes first: without the database it does
// no harm.
func install(dir, tmp string) error {
	key, database := filepath.Join(dir, keyFile), filepath.Join(dir, databaseFile)
	if err := syncFiles(filepath.Join(tmp, keyFile), filepath.Join(tmp, databaseFile)); err != nil {
		return err
	}
	// There is no database. Its remains and its key are useless, and would damage another database.
	for _, path := range []string{database, database + "-wal", database + "-shm"} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	for _, path := range []string{key, database} {
		if err := link(filepath.Join(tmp, filepath.Base(path)), path); err != nil {
			return err
		}
		if err := atomicfile.SyncDir(dir); err != nil {
			return err
		}
	}
	return nil
}

// link gives a file of a backup its second name, if that does not exist or has the same key.
func link(from, to string) error {
	err := os.Link(from, to)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	if filepath.Base(to) == keyFile {
		mine, readErr := os.ReadFile(from) //nolint:gosec // a file of ours
		theirs, err := os.ReadFile(to)     //nolint:gosec // the administrator names the folder
		if err := errors.Join(readErr, err); err != nil || bytes.Equal(mine, theirs) {
			return err
		}
	}
	return &OccupiedError{to}
}

func syncFiles(paths ...string) error {
	for _, path := range paths {
		file, err := os.Open(path) //nolint:gosec // a file of ours
		if err != nil {
			return err
		}
		if err := errors.Join(file.Sync(), file.Close()); err != nil {
			return err
		}
	}
	return nil
}
