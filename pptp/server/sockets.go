package server

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"vpnd/internal/fault"
)

func listenTCP(at netip.AddrPort) (*net.TCPListener, error) {
	lc := net.ListenConfig{KeepAlive: -1} // Echo-Request finds dead peers
	l, err := lc.Listen(context.Background(), "tcp4", at.String())
	if err != nil {
		return nil, fault.Listening("TCP", at, "listen", "stop the other PPTP server there, or set `listen` to other addresses", err)
	}
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		return nil, fmt.Errorf("listening on %v: no TCP listener", at)
	}
	return tcp, nil
}
