package mmsg_test

import (
	"net"
	"net/netip"
	"testing"
	"time"
	"vpnd/internal/link"
	"vpnd/internal/mmsg"
	"vpnd/internal/pktbuf"

	"golang.org/x/sys/unix"
)

func listen(t *testing.T) (*mmsg.Conn, netip.AddrPort) {
	t.Helper()
	c, at, err := open(t)
	if err != nil {
		t.Fatal(err)
	}
	return c, at
}

// open makes a socket in the network namespace of the caller.
func open(t *testing.T) (*mmsg.Conn, netip.AddrPort, error) {
	t.Helper()
	u, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		return nil, netip.AddrPort{}, err
	}
	t.Cleanup(func() { _ = u.Close() })
	c, err := mmsg.New(u)
	if err == nil {
		err = c.Control(func(fd int) error { return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1) })
	}
	return c, u.LocalAddr().(*net.UDPAddr).AddrPort(), err
}

func batch(dst netip.AddrPort, n int) []link.Datagram {
	pkts := make([]link.Datagram, n)
	for i := range pkts {
		b := pktbuf.Get()
		b.Append([]byte{byte(i), 2, 3})
		pkts[i] = link.Datagram{Buf: b, Dst: dst, Src: netip.MustParseAddr("127.0.0.5")}
	}
	return pkts
}

func TestThereAndBack(t *testing.T) {
	a, _ := listen(t)
	b, to := listen(t)
	pkts := batch(to, link.BatchSize)
	a.WriteBatch(pkts)
	r := b.NewReader()
	var kept *pktbuf.Buf
	for want := 0; want < link.BatchSize; {
		got, err := r.Read()
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range got {
			if p.Buf.Len() != 3 || p.Buf.Bytes()[0] != byte(want) {
				t.Fatalf("datagram %d: %v", want, p.Buf.Bytes())
			}
			if p.From.Addr() != pkts[0].Src || p.To != to.Addr() {
				t.Fatalf("from %v to %v", p.From, p.To)
			}
			if want == 0 {
				kept = p.Buf
				got[i].Buf = nil
			} else if p.Buf == kept {
				t.Fatal("a buffer that was kept is used again")
			}
			want++
		}
	}
}

func TestNoAllocations(t *testing.T) {
	a, _ := listen(t)
	b, to := listen(t)
	r := b.NewReader()
	pkts := batch(to, link.BatchSize)
	if n := testing.AllocsPerRun(200, func() {
		a.WriteBatch(pkts)
		for left := len(pkts); left > 0; {
			got, err := r.Read()
			if err != nil {
				t.Fatal(err)
			}
			left -= len(got)
		}
	}); n >= 8 { // with the race detector pools lose some
		t.Errorf("%v allocations for %d datagrams", n, len(pkts))
	}
}

// A buffer that was cut, and not kept, is whole again at the next read.
func TestCutBuffersAreWholeAgain(t *testing.T) {
	a, _ := listen(t)
	b, to := listen(t)
	r := b.NewReader()
	for round := range 3000 {
		a.WriteBatch(batch(to, 1))
		got, err := r.Read()
		if err != nil {
			t.Fatal(err)
		}
		if got[0].Buf.Len() != 3 {
			t.Fatalf("round %d: %d bytes", round, got[0].Buf.Len())
		}
		got[0].Buf.TrimFront(3)
	}
}

func TestRefusedIsCounted(t *testing.T) {
	a, _ := listen(t)
	big := pktbuf.Get()
	pkts := batch(netip.MustParseAddrPort("127.0.0.1:9"), 3)
	pkts[1].Buf, pkts[1].Src = big, netip.MustParseAddr("203.0.113.9") // not ours: no way out
	a.WriteBatch(pkts)
	if a.Refused() == 0 {
		t.Error("nothing is counted")
	}
	_ = a.Close()
	before := a.Refused()
	a.WriteBatch(pkts)
	if a.Refused() != before+3 {
		t.Errorf("%d counted after Close", a.Refused()-before)
	}
	if _, err := a.NewReader().Read(); err == nil {
		t.Error("a closed socket reads")
	}
}

// A datagram that is too long for a buffer has nothing left, and the next datagram is whole.
func TestTooLongIsNotTakenInPart(t *testing.T) {
	a, _ := listen(t)
	b, to := listen(t)
	if _, err := a.WriteTo(make([]byte, pktbuf.Size-pktbuf.Headroom+1), net.UDPAddrFromAddrPort(to)); err != nil {
		t.Fatal(err)
	}
	if _, err := a.WriteTo(make([]byte, pktbuf.Size-pktbuf.Headroom), net.UDPAddrFromAddrPort(to)); err != nil {
		t.Fatal(err)
	}
	r := b.NewReader()
	var lengths []int
	for len(lengths) < 2 {
		got, err := r.Read()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range got {
			lengths = append(lengths, p.Buf.Len())
		}
	}
	if lengths[0] != 0 || lengths[1] != pktbuf.Size-pktbuf.Headroom {
		t.Errorf("lengths %v", lengths)
	}
}

// A waiting datagram is read at once in spite of signals. The reader does not wait for the next
// one.
func TestReadUnderSignals(t *testing.T) {
	a, _ := listen(t)
	b, to := listen(t)
	r := b.NewReader()
	r.Interrupt(3)
	if err := b.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		a.WriteBatch(batch(to, 1))
		if got, err := r.Read(); err != nil || len(got) != 1 {
			t.Fatalf("%d datagrams, %v", len(got), err)
		}
	}
}
