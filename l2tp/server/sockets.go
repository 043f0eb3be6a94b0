package server

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"vpnd/internal/mmsg"
	"vpnd/l2tp/data"

	"golang.org/x/sys/unix"
)

func listenUDP(at netip.AddrPort) (*mmsg.Conn, error) {
	u, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return nil, fmt.Errorf("UDP port %d of %v is in use: stop the other L2TP server there, or set `listen` to other addresses", at.Port(), at.Addr())
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return nil, fmt.Errorf("%v is no address of this machine: correct `listen`", at.Addr())
	case errors.Is(err, unix.EACCES):
		return nil, fmt.Errorf("no right to listen on UDP port %d: run as root or with CAP_NET_BIND_SERVICE", at.Port())
	case err != nil:
		return nil, fmt.Errorf("listening on %v: %w", at, err)
	}
	c, err := mmsg.New(u)
	if err == nil {
		err = data.Configure(c)
	}
	if err != nil {
		_ = u.Close()
		return nil, fmt.Errorf("setting up the socket of %v: %w", at, err)
	}
	return c, nil
}

func (s *Server) closeSockets() {
	for _, c := range s.sockets {
		_ = c.Close()
	}
}
