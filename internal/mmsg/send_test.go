package mmsg_test

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"vpnd/internal/link"
	"vpnd/internal/mmsg"
	"vpnd/internal/pktbuf"

	"golang.org/x/sys/unix"
)

// datagrams makes one datagram of each text.
func datagrams(dst netip.AddrPort, texts ...string) []link.Datagram {
	var pkts []link.Datagram
	for _, text := range texts {
		b := pktbuf.Get()
		b.Append([]byte(text))
		pkts = append(pkts, link.Datagram{Buf: b, Dst: dst, Src: netip.MustParseAddr("127.0.0.5")})
	}
	return pkts
}

// receive reads n datagrams.
func receive(t *testing.T, c *mmsg.Conn, n int) []string {
	t.Helper()
	var texts []string
	r := c.NewReader()
	for len(texts) < n {
		got, err := r.Read()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range got {
			if p.From.Addr() != netip.MustParseAddr("127.0.0.5") {
				t.Errorf("from %v", p.From)
			}
			texts = append(texts, string(p.Buf.Bytes()))
		}
	}
	return texts
}

// Each datagram of a run arrives singly, in order and at its destination, whatever the runs are.
func TestRuns(t *testing.T) {
	a, _ := listen(t)
	b, toB := listen(t)
	c, toC := listen(t)
	long := strings.Repeat("x", pktbuf.Size-pktbuf.Headroom)
	for name, texts := range map[string][]string{
		"one":               {"a"},
		"of one length":     {"aa", "bb", "cc", "dd"},
		"a shorter one":     {"aa", "bb", "c", "dd", "ee", "f"},
		"a longer one":      {"a", "b", "cc", "dd", "e"},
		"nothing in one":    {"a", "", "b", "c"},
		"over 65536 in all": slices.Repeat([]string{long}, 60),
	} {
		t.Run(name, func(t *testing.T) {
			pkts := datagrams(toB, texts...)
			a.WriteBatch(pkts)
			if got := receive(t, b, len(texts)); !slices.Equal(got, texts) {
				t.Errorf("%.300q", got)
			}
			for i := range pkts {
				if i%3 == 1 {
					pkts[i].Dst = toC
				}
			}
			a.WriteBatch(pkts)
			var forB, forC []string
			for i, text := range texts {
				if i%3 == 1 {
					forC = append(forC, text)
				} else {
					forB = append(forB, text)
				}
			}
			if got := receive(t, b, len(forB)); !slices.Equal(got, forB) {
				t.Errorf("%.300q", got)
			}
			if got := receive(t, c, len(forC)); !slices.Equal(got, forC) {
				t.Errorf("%.300q", got)
			}
		})
	}
	if a.Refused() != 0 {
		t.Errorf("%d refused", a.Refused())
	}
}

// A run passes the system as one datagram. A receiver that asks for it (UDP_GRO) gets it whole. If
// a socket does not allow the cut, the datagrams go singly and none is lost.
func TestRunIsOne(t *testing.T) {
	a, _ := listen(t)
	u, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = u.Close() }()
	raw, err := u.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if e := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_UDP, unix.UDP_GRO, 1) }); e != nil || err != nil {
		t.Fatalf("no UDP_GRO, which Linux has since 5.0: %v, %v", e, err)
	}
	pkts := datagrams(u.LocalAddr().(*net.UDPAddr).AddrPort(), "aa", "bb", "cc", "d")
	read := func() string {
		t.Helper()
		var b [100]byte
		n, err := u.Read(b[:])
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
	a.WriteBatch(pkts)
	if got := read(); got != "aabbccd" {
		t.Errorf("%q", got)
	}
	if err := a.Control(func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_NO_CHECK, 1) }); err != nil {
		t.Fatal(err)
	}
	a.WriteBatch(pkts)
	for _, want := range []string{"aa", "bb", "cc", "d"} {
		if got := read(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if a.Refused() != 0 {
		t.Errorf("%d refused", a.Refused())
	}
}

// If the system does not send a run at all, all its datagrams are counted.
func TestRefusedRun(t *testing.T) {
	a, to := listen(t)
	pkts := datagrams(to, "aa", "bb", "cc", "d")
	for i := range pkts[:3] {
		pkts[i].Src = netip.MustParseAddr("203.0.113.9") // not ours
	}
	a.WriteBatch(pkts)
	if a.Refused() != 3 {
		t.Errorf("%d refused, want 3", a.Refused())
	}
	if got := receive(t, a, 1); got[0] != "d" {
		t.Errorf("%q", got)
	}
}
