// Package atomicfile writes files that must survive a crash. After a kill or a power cut, a file
// has its old content or its new content, and nothing in between.
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

// Unfinished files that have a name have these names. Their writer holds a lock on them.
const (
	partPrefix  = ".vpnd-"
	partPattern = partPrefix + "*.part"
)

// Write replaces the file at path with the content that fill writes. It is on the disk when Write
// returns without an error; otherwise the file at path is unchanged.
//
// The file has no name while fill writes it, so a kill leaves nothing behind. On a file system that
// cannot do this (NFS, FAT) the file has a name, and after a kill the next Write into that folder
// removes it.
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
			_ = os.Remove(part) // the first error is the one to report
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

// Part makes a file with a name in dir, for content that cannot be written through an open file.
// The caller first removes it and then closes it. After a kill, the next Sweep of the folder
// removes it.
func Part(dir string) (*os.File, error) {
	file, err := os.CreateTemp(dir, partPattern)
	if err != nil {
		return nil, err
	}
	return file, lock(file)
}

// Sweep removes the files of killed writers from dir.
func Sweep(dir string) {
	left, _ := filepath.Glob(filepath.Join(dir, partPattern)) // the pattern is valid
	for _, path := range left {
		file, err := os.Open(path) //nolint:gosec // a file of ours
		if err != nil {
			continue
		}
		if lock(file) == nil {
			// SQLite writes the journal next to its copy.
			_, _ = os.Remove(path+"-journal"), os.Remove(path)
		}
		_ = file.Close()
	}
}

func partName(dir string) string { return filepath.Join(dir, partPrefix+rand.Text()+".part") }

func lock(file *os.File) error { return unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB) }

// name gives a name to an open file without one.
func name(file *os.File, path string) error {
	from := fmt.Sprintf("/proc/self/fd/%d", file.Fd())
	if err := unix.Linkat(unix.AT_FDCWD, from, unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW); err != nil {
		return &os.LinkError{Op: "link", Old: from, New: path, Err: err}
	}
	return nil
}

// Rename moves a file that is on the disk, and replaces the file at its new name. The move is on
// the disk when Rename returns without an error.
func Rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(to))
}

// SyncDir writes the names in dir to the disk.
func SyncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // the caller names the folder
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
