// Package peercred listens on a Unix socket for root and the daemon's own user. The kernel gives it
// the user of each client (SO_PEERCRED).
package peercred

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"vpnd/internal/fault"

	"golang.org/x/sys/unix"
)

// Listen makes the socket, and replaces one on which nobody listens. It accepts at most the number
// of connections in most at once.
func Listen(path string, most int) (net.Listener, error) {
	if err := CheckFree(path); err != nil {
		return nil, err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // the socket itself is closed to others
		return nil, err
	}
	old := unix.Umask(0o177)
	l, err := net.Listen("unix", path)
	unix.Umask(old)
	if err != nil {
		return nil, err
	}
	return &peers{Listener: l, places: make(chan struct{}, most)}, nil
}

// CheckFree reports that another program listens on a path, or that the file there is not a socket.
func CheckFree(path string) error {
	if conn, err := net.Dial("unix", path); err == nil {
		_ = conn.Close()
		return fault.New("another program listens on "+path, "stop it, or choose another path")
	}
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() != fs.ModeSocket {
		return fault.New(path+" exists and is not a socket", "move it away, or choose another path")
	}
	return nil
}

// peers accepts only root and the daemon's own user.
type peers struct {
	net.Listener
	places chan struct{}
}

// peer is a connection of root or the daemon's own user.
type peer struct {
	net.Conn
	name  string
	leave func()
}

// Name is the user at the other end of a connection from Listen's listener.
func Name(c net.Conn) string { return c.(*peer).name } //nolint:forcetypeassert // see above

// Close gives the place back.
func (p *peer) Close() error {
	p.leave()
	return p.Conn.Close()
}

// Accept implements net.Listener.
func (l *peers) Accept() (net.Conn, error) {
	for {
		l.places <- struct{}{}
		c, err := l.Listener.Accept()
		if err != nil {
			<-l.places
			return nil, err
		}
		uid, err := peerOf(c)
		if err != nil || uid != 0 && uid != uint32(os.Geteuid()) {
			_ = c.Close()
			<-l.places
			continue
		}
		return &peer{Conn: c, name: userName(uid), leave: sync.OnceFunc(func() { <-l.places })}, nil
	}
}

// peerOf gives the user at the other end of a Unix socket.
func peerOf(c net.Conn) (uint32, error) {
	sc, ok := c.(*net.UnixConn)
	if !ok {
		return 0, errors.New("no Unix socket")
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	if e := raw.Control(func(fd uintptr) { cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); e != nil {
		return 0, e
	}
	if err != nil {
		return 0, err
	}
	return cred.Uid, nil
}

func userName(uid uint32) string {
	number := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(number); err == nil {
		return u.Username
	}
	return "user " + number
}
