package gre

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"vpnd/internal/fault"
	"vpnd/internal/mmsg"
	"vpnd/pptp/wire"

	"golang.org/x/sys/unix"
)

// socketBuffer is the size of a socket's buffer in each direction, in bytes.
const socketBuffer = 4 << 20

// Listen opens a raw socket on an address of this machine. An unbound socket gets the GRE packets
// of the whole machine. A filter in the kernel passes only those of PPTP.
func Listen(at netip.Addr) (*mmsg.Conn, error) {
	pc, err := net.ListenPacket("ip4:47", at.String()) //nolint:noctx // it does not wait
	if errors.Is(err, unix.EPERM) {
		return nil, &fault.Error{Wrong: "no right to open a raw socket for GRE", Fix: "run as root or with CAP_NET_RAW", Err: err}
	}
	if err != nil {
		return nil, fmt.Errorf("opening a raw socket for GRE on %v: %w", at, err)
	}
	c, err := mmsg.New(pc)
	if err != nil {
		_ = pc.Close()
		return nil, err
	}
	if err := c.Control(configureGRE); err != nil {
		_ = pc.Close()
		return nil, fmt.Errorf("setting up the GRE socket: %w", err)
	}
	return c, nil
}

func configureGRE(fd int) error {
	// Routers fragment an outer packet that is too long for its path. The inner MTU leaves enough
	// room, and a peer that asks for more gets it.
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DONT); err != nil {
		return err
	}
	for _, option := range [][2]int{{unix.SO_RCVBUFFORCE, unix.SO_RCVBUF}, {unix.SO_SNDBUFFORCE, unix.SO_SNDBUF}} {
		if unix.SetsockoptInt(fd, unix.SOL_SOCKET, option[0], socketBuffer) == nil {
			continue // a size above net.core.rmem_max needs CAP_NET_ADMIN
		}
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, option[1], socketBuffer); err != nil {
			return err
		}
	}
	filter := greFilter()
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]})
}

// greFilter accepts version 1 with the protocol type of PPP, behind an IP header of any length.
func greFilter() []unix.SockFilter {
	return []unix.SockFilter{
		{Code: unix.BPF_LDX | unix.BPF_B | unix.BPF_MSH, K: 0},
		{Code: unix.BPF_LD | unix.BPF_H | unix.BPF_IND, K: 2},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: wire.GREProtocol, Jf: 4},
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_IND, K: 1},
		{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: 7},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: 1, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0xFFFF},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
	}
}
