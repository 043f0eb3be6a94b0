// Package atomicfile writes files that must survive a crash. After a kill, or a power cut, a file has its old
// content or its new content, and nothing in between.
package atomicfile

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Files under way have these names as long as they have one. Their writer holds a lock on them.
const (
	partPrefix  = ".vpnd-"
	partPattern = partPrefix + "*.part"
)

// Write puts a file at path, with what fill writes, in place of the file that is there. It is on the disk when
// Write returns without an error; otherwise the file at path is as it was.
//
// The file has no name while fill writes it, so that a kill leaves nothing behind. A file system that cannot do
// this (NFS, FAT) gets a file with a name, and the next Write into that folder removes it after a kill.
func Write(path string, mode fs.FileMode, fill func(*os.File) error) (err error) {
	dir := filepath.Dir(path)
	Sweep(dir)
	file, part, err := open(dir)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, file.Close())
		if err != nil && part != "" {
			_ = os.Remove(part) // the first error is the one to tell
		}
	}()
	if err := errors.Join(fill(file), file.Chmod(mode)); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	if part == "" {
		if err := name(file, path); !errors.Is(err, fs.ErrExist) {
			return errors.Join(err, SyncDir(dir))
		}
		part = partName(dir)
		if err := name(file, part); err != nil {
			return err
		}
	}
	return Rename(part, path)
}

// open makes a locked file in dir. It has no name, or the name part.
func open(dir string) (file *os.File, part string, err error) {
	file, err = os.OpenFile(dir, os.O_RDWR|unix.O_TMPFILE, 0o600) //nolint:gosec // the caller names the folder
	if err != nil {
		file, err = Part(dir)
		if err != nil {
			return nil, "", err
		}
		return file, file.Name(), nil
	}
	return file, "", lock(file)
}

// Part makes a file with a name in dir, for what cannot be written through an open file. The caller removes it,
// and closes it after that. After a kill, the next Sweep of the folder removes it.
func Part(dir string) (*os.File, error) {
	file, err := os.CreateTemp(dir, partPattern)
	if err != nil {
		return nil, err
	}
	return file, lock(file)
}

// Sweep removes from dir what killed writers have left.
func Sweep(dir string) {
	left, _ := filepath.Glob(filepath.Join(dir, partPattern)) // the pattern is right
	for _, path := range left {
		file, err := os.Open(path) //nolint:gosec // a file of ours
		if err != nil {
			continue
		}
		if lock(file) == nil {
			_, _ = os.Remove(path+"-journal"), os.Remove(path) // SQLite writes the former next to its copy
		}
		_ = file.Close()
	}
}

func partName(dir string) string { return filepath.Join(dir, partPrefix+rand.Text()+".part") }

func lock(file *os.File) error { return unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB) }

// name gives an open file without a name its name.
func name(file *os.File, path string) error {
	from := fmt.Sprintf("/proc/self/fd/%d", file.Fd())
	if err := unix.Linkat(unix.AT_FDCWD, from, unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW); err != nil {
		return &os.LinkError{Op: "link", Old: from, New: path, Err: err}
	}
	return nil
}

// Rename moves a file that is on the disk, in place of the one that is there. The move is on the disk when
// Rename returns without an error.
func Rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(to))
}

// SyncDir brings the names in dir to the disk.
func SyncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // the caller names the folder
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
