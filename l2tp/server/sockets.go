package server

import (
	"fmt"
	"net"
	"net/netip"
	"vpnd/internal/fault"
	"vpnd/internal/mmsg"
	"vpnd/l2tp/data"
)

func listenUDP(at netip.AddrPort) (*mmsg.Conn, error) {
	u, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
	if err != nil {
		return nil, fault.Listening("UDP", at, "listen", "stop the other L2TP server there, or set `listen` to other addresses", err)
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
