package https

import (
	"net"
	"net/netip"
	"sync"
)

// bounded accepts at most maxConnections connections, and at most maxOfSource from one source, so
// that one source cannot keep the others out. It closes further ones at once.
type bounded struct {
	net.Listener
	mu    sync.Mutex
	total int
	by    map[netip.Prefix]int
}

// Accept implements net.Listener.
func (l *bounded) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		source := sourceOf(c.RemoteAddr())
		if !l.enter(source) {
			_ = c.Close()
			continue
		}
		return &visitor{Conn: c, leave: sync.OnceFunc(func() { l.leave(source) })}, nil
	}
}

func (l *bounded) enter(source netip.Prefix) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.total >= maxConnections || l.by[source] >= maxOfSource {
		return false
	}
	l.total++
	l.by[source]++
	return true
}

func (l *bounded) leave(source netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total--
	if l.by[source]--; l.by[source] == 0 {
		delete(l.by, source)
	}
}

// visitor is a connection that gives its place back.
type visitor struct {
	net.Conn
	leave func()
}

// Close implements net.Conn.
func (v *visitor) Close() error {
	v.leave()
	return v.Conn.Close()
}

// sourceOf is the unit that counts as one source: an IPv4 address, or an IPv6 /64.
func sourceOf(a net.Addr) netip.Prefix {
	at, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Prefix{}
	}
	addr, bits := at.Addr().Unmap().WithZone(""), 32
	if addr.Is6() {
		bits = 64
	}
	p, _ := addr.Prefix(bits) // an address always has that many bits
	return p
}
