package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

func listenTCP(at netip.AddrPort) (*net.TCPListener, error) {
	lc := net.ListenConfig{KeepAlive: -1} // Echo-Request finds dead peers
	l, err := lc.Listen(context.Background(), "tcp4", at.String())
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return nil, fmt.Errorf("TCP port %d of %v is in use: stop the other PPTP server there, or set `listen` to other addresses", at.Port(), at.Addr())
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return nil, fmt.Errorf("%v is no address of this machine: correct `listen`", at.Addr())
	case errors.Is(err, unix.EACCES):
		return nil, fmt.Errorf("no right to listen on TCP port %d: run as root or with CAP_NET_BIND_SERVICE", at.Port())
	case err != nil:
		return nil, fmt.Errorf("listening on %v: %w", at, err)
	}
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		return nil, fmt.Errorf("listening on %v: no TCP listener", at)
	}
	return tcp, nil
}
