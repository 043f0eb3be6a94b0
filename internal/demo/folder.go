package demo

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

const folderPattern = "vpnd-demo-"

// makeFolder makes a folder below parent. It removes the folders of killed demos, whose locks
// nobody holds.
func makeFolder(parent string) (dir string, release func(), err error) {
	old, err := filepath.Glob(filepath.Join(parent, folderPattern+"*"))
	if err != nil {
		return "", nil, err
	}
	for _, o := range old {
		if lock, err := lockFolder(o); err == nil {
			err = os.RemoveAll(o)
			_ = lock.Close()
			if err != nil {
				return "", nil, err
			}
		}
	}
	if dir, err = os.MkdirTemp(parent, folderPattern); err != nil {
		return "", nil, err
	}
	lock, err := lockFolder(dir)
	if err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(dir))
	}
	return dir, func() {
		_ = os.RemoveAll(dir)
		_ = lock.Close()
	}, nil
}

// lockFolder locks a folder of this user while the file is open.
func lockFolder(dir string) (*os.File, error) {
	f, err := os.Open(dir) //nolint:gosec // our own pattern
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.IsDir() {
		err = errors.New("not a folder")
	}
	if stat := (unix.Stat_t{}); err == nil {
		if err = unix.Fstat(int(f.Fd()), &stat); err == nil && stat.Uid != uint32(os.Geteuid()) {
			err = errors.New("somebody else's")
		}
	}
	if err == nil {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}
