package mmsg_test

import (
	"slices"
	"strings"
	"testing"
	"vpnd/internal/mmsg"
	"vpnd/testenv"

	"golang.org/x/sys/unix"
)

// A run whose datagrams are longer than the path's MTU goes singly, cut by IP, and loses nothing.
// For a while, so do runs that the path would take. Then they are one again. A receiver that takes
// runs whole (UDP_GRO) tells the two apart.
func TestRunOverShortPath(t *testing.T) {
	lab := testenv.New(t)
	lab.IP("link", "set", "lo", "mtu", "600")
	var texts [2][]string
	for i, size := range []int{1000, 100} {
		for _, c := range "abcd" {
			texts[i] = append(texts[i], strings.Repeat(string(c), size))
		}
	}
	long, short := texts[0], texts[1]
	err := testenv.InNamespace(lab.Namespace, func() error {
		a, _, err := open(t)
		if err != nil {
			return err
		}
		b, to, err := open(t)
		if err != nil {
			return err
		}
		// As on L2TP's sockets, IP may fragment long datagrams.
		if err := a.Control(func(fd int) error {
			return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DONT)
		}); err != nil {
			return err
		}
		if err := b.Control(func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_UDP, unix.UDP_GRO, 1) }); err != nil {
			return err
		}
		passes := func(when string, sent, want []string) {
			t.Helper()
			a.WriteBatch(datagrams(to, sent...))
			if got := receive(t, b, len(want)); !slices.Equal(got, want) {
				t.Errorf("%s: %.60q", when, got)
			}
		}
		whole := []string{strings.Join(short, "")}
		passes("before", short, whole)
		passes("too long for the path", long, long)
		for range mmsg.SinglyFor {
			passes("soon after", short, short)
		}
		passes("later", short, whole)
		passes("too long again", long, long)
		if a.Refused() != 0 {
			t.Errorf("%d refused", a.Refused())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
