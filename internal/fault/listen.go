package fault

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Listening says why the daemon cannot listen on a port of "TCP" or "UDP". Key is the key of the
// configuration that names the address. Busy is the fix for a port that another program uses.
func Listening(transport string, at netip.AddrPort, key, busy string, err error) error {
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return &Error{Wrong: fmt.Sprintf("%s port %d of %v is in use", transport, at.Port(), at.Addr()), Fix: busy, Err: err}
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return &Error{Wrong: fmt.Sprintf("%v is not an address of this machine", at.Addr()), Fix: "correct `" + key + "`", Err: err}
	case errors.Is(err, unix.EACCES):
		return &Error{Wrong: fmt.Sprintf("no right to listen on %s port %d", transport, at.Port()), Fix: "run as root or with CAP_NET_BIND_SERVICE", Err: err}
	default:
		return fmt.Errorf("listening on %v: %w", at, err)
	}
}
