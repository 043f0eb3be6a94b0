package fault_test

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"vpnd/internal/fault"

	"golang.org/x/sys/unix"
)

func TestOf(t *testing.T) {
	told := fault.New("the port is in use: by pptpd", "stop it")
	for _, c := range []struct {
		err        error
		wrong, fix string
	}{
		{told, "the port is in use: by pptpd", "stop it"},
		{fmt.Errorf("PPTP: %w", told), "the port is in use: by pptpd", "stop it"},
		{fault.New("1 is not between 2 and 3", ""), "1 is not between 2 and 3", ""},
		{errors.New("open x: no such file"), "open x: no such file", "correct the path"},
	} {
		if wrong, fix := fault.Of(c.err, "correct the path"); wrong != c.wrong || fix != c.fix {
			t.Errorf("%v: got %q and %q, want %q and %q", c.err, wrong, fix, c.wrong, c.fix)
		}
	}
}

func TestText(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{fault.New("the port is in use", "stop pptpd"), "the port is in use: stop pptpd"},
		{fault.New("1 is not between 2 and 3", ""), "1 is not between 2 and 3"},
	} {
		if got := c.err.Error(); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

// Each cause has its own advice, and the system's error can still be distinguished from others.
func TestListening(t *testing.T) {
	at := netip.MustParseAddrPort("192.0.2.1:1723")
	for _, c := range []struct {
		err        error
		wrong, fix string
	}{
		{unix.EADDRINUSE, "TCP port 1723 of 192.0.2.1 is in use", "stop it"},
		{unix.EADDRNOTAVAIL, "192.0.2.1 is not an address of this machine", "correct `listen`"},
		{unix.EACCES, "no right to listen on TCP port 1723", "run as root or with CAP_NET_BIND_SERVICE"},
		{unix.EMFILE, "listening on 192.0.2.1:1723: bind: too many open files", "?"},
	} {
		err := fault.Listening("TCP", at, "listen", "stop it", fmt.Errorf("bind: %w", c.err))
		wrong, fix := fault.Of(err, "?")
		if wrong != c.wrong || fix != c.fix || !errors.Is(err, c.err) {
			t.Errorf("%v: got %q and %q, want %q and %q", c.err, wrong, fix, c.wrong, c.fix)
		}
	}
}
