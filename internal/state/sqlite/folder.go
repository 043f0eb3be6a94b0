package sqlite

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"vpnd/internal/atomicfile"
)

const (
	databaseFile = "users.db"
	dirPerm      = 0o700
	filePerm     = 0o600
)

// prepareFolder makes sure that dir exists and is closed to others. It closes a folder that is open
// to others if it is empty or ours, and refuses it if it holds something else.
func prepareFolder(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil { //nolint:gosec // the folders above ours, as mkdir -p makes them
		return err
	}
	if err := os.Mkdir(dir, dirPerm); err == nil {
		return os.Chmod(dir, dirPerm)
	} else if !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a folder: set another state_dir", dir)
	}
	if info.Mode().Perm() == dirPerm {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	ours := len(entries) == 0
	for _, entry := range entries {
		ours = ours || entry.Name() == databaseFile || entry.Name() == keyFile
	}
	if !ours {
		return fmt.Errorf("%s has mode %04o and contains files that are not vpnd's: set state_dir to a folder of its own, or run chmod 0700 %s",
			dir, info.Mode().Perm(), dir)
	}
	return os.Chmod(dir, dirPerm)
}

// prepareDatabase makes an empty database file of mode 0600, or checks the header of an existing
// one before SQLite does. SQLite copies the mode to its other files.
func prepareDatabase(dir, path string) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, filePerm) //nolint:gosec // the administrator names the folder
	if err == nil {
		return errors.Join(file.Chmod(filePerm), giveToOwner(dir, file), file.Close(), atomicfile.SyncDir(dir))
	}
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := checkHead(path); err != nil {
		return err
	}
	if err := os.Chmod(path, filePerm); err != nil && !errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: vpnd must be able to write to the folder: mount it for writing, or set another state_dir", err)
	}
	return nil
}

// checkHead reads the database header (100 bytes: magic at 0, user_version at 60, big-endian).
func checkHead(path string) error {
	file, err := os.Open(path) //nolint:gosec // the administrator names the folder
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	head := make([]byte, 100)
	switch n, err := io.ReadFull(file, head); {
	case errors.Is(err, io.EOF):
		return nil // made, but not written yet
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF):
		return err
	case n < len(head) || string(head[:16]) != "SQLite format 3\x00":
		return &DamagedError{path, "it is not an SQLite database"}
	}
	if version := int(binary.BigEndian.Uint32(head[60:])); version > len(migrations) {
		return &NewerError{path, version, len(migrations)}
	}
	return nil
}

// giveToOwner gives a file that root has made to the owner of dir. A daemon that runs as its own
// user can then read the files that root's commands have written.
func giveToOwner(dir string, file *os.File) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return file.Chown(int(st.Uid), int(st.Gid))
	}
	return nil
}
