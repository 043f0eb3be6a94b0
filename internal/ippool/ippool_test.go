package ippool_test

import (
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"vpnd/internal/ippool"
)

var none netip.Addr

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func newPool(t *testing.T, first, last string, exclude ...netip.Addr) *ippool.Pool {
	t.Helper()
	p, err := ippool.New([]ippool.Range{{First: addr(first), Last: addr(last)}}, exclude...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func take(t *testing.T, p *ippool.Pool, fixed, last, outer netip.Addr) netip.Addr {
	t.Helper()
	a, err := p.Take("alice", fixed, last, outer)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestEveryAddressOnce(t *testing.T) {
	p, err := ippool.New([]ippool.Range{
		{First: addr("10.0.1.250"), Last: addr("10.0.2.3")},
		{First: addr("10.0.0.10"), Last: addr("10.0.0.12")},
		{First: addr("10.0.0.12"), Last: addr("10.0.0.14")},
		{First: addr("10.0.0.15"), Last: addr("10.0.0.15")},
	}, addr("10.0.0.11"), addr("192.0.2.1"))
	if err != nil {
		t.Fatal(err)
	}
	if p.Size() != 16 {
		t.Fatalf("size is %d, want 16", p.Size())
	}
	got := map[netip.Addr]bool{}
	for range 15 {
		a := take(t, p, none, none, none)
		if got[a] || !p.Contains(a) || a == addr("10.0.0.11") {
			t.Fatalf("got %s, twice: %v", a, got[a])
		}
		got[a] = true
	}
	if _, err := p.Take("bob", none, none, none); !errors.Is(err, ippool.ErrEmpty) || !strings.Contains(err.Error(), "15 connections") {
		t.Fatalf("got %v, want ErrEmpty", err)
	}
	p.Give(addr("10.0.2.1"))
	p.Give(addr("10.0.2.1"))
	p.Give(addr("10.0.0.11"))
	p.Give(addr("192.0.2.1"))
	if p.InUse() != 14 {
		t.Fatalf("%d in use, want 14", p.InUse())
	}
	if a := take(t, p, none, none, none); a != addr("10.0.2.1") {
		t.Fatalf("got %s, want the one given back", a)
	}
}

func TestAddressRestsAfterUse(t *testing.T) {
	p := newPool(t, "10.0.0.1", "10.0.0.200")
	for want := addr("10.0.0.1"); p.Contains(want); want = want.Next() {
		a := take(t, p, none, none, none)
		if a != want {
			t.Fatalf("got %s, want %s", a, want)
		}
		p.Give(a)
	}
	if a := take(t, p, none, none, none); a != addr("10.0.0.1") {
		t.Fatalf("got %s after all were used", a)
	}
}

func TestFixedAddress(t *testing.T) {
	p := newPool(t, "10.0.0.1", "10.0.0.4", addr("10.0.0.1"))
	fixed := addr("10.0.0.3")
	if a := take(t, p, fixed, addr("10.0.0.2"), none); a != fixed {
		t.Fatalf("got %s, want %s", a, fixed)
	}
	for _, c := range []struct {
		fixed, outer netip.Addr
		want         error
	}{
		{fixed, none, ippool.ErrTaken},
		{addr("10.0.0.1"), none, ippool.ErrOutside},
		{addr("10.0.0.5"), none, ippool.ErrOutside},
		{addr("2001:db8::1"), none, ippool.ErrOutside},
		{addr("10.0.0.4"), addr("10.0.0.4"), ippool.ErrOuter},
	} {
		if a, err := p.Take("bob", c.fixed, none, c.outer); !errors.Is(err, c.want) || a.IsValid() {
			t.Errorf("fixed %s outer %s: got %s, %v; want %v", c.fixed, c.outer, a, err, c.want)
		}
	}
	_, err := p.Take("bob", fixed, none, none)
	if !strings.Contains(err.Error(), "alice") {
		t.Errorf("%q does not name the holder", err)
	}
	p.Give(fixed)
	if a := take(t, p, fixed, none, none); a != fixed {
		t.Fatalf("got %s, want %s", a, fixed)
	}
}

func TestLastAddress(t *testing.T) {
	p := newPool(t, "10.0.0.1", "10.0.0.9")
	last := addr("10.0.0.7")
	if a := take(t, p, none, last, none); a != last {
		t.Fatalf("got %s, want %s", a, last)
	}
	if a := take(t, p, none, last, none); a != addr("10.0.0.1") {
		t.Fatalf("got %s while %s is in use", a, last)
	}
	if a := take(t, p, none, addr("172.16.0.1"), none); a != addr("10.0.0.2") {
		t.Fatalf("got %s for one outside", a)
	}
}

func TestOuterAddressIsNotGiven(t *testing.T) {
	p := newPool(t, "10.0.0.1", "10.0.0.2")
	outer := addr("10.0.0.1")
	if a := take(t, p, none, outer, outer); a != addr("10.0.0.2") {
		t.Fatalf("got %s", a)
	}
	if _, err := p.Take("bob", none, none, outer); !errors.Is(err, ippool.ErrEmpty) {
		t.Fatalf("got %v, want ErrEmpty", err)
	}
	if a := take(t, p, none, none, none); a != outer {
		t.Fatalf("got %s", a)
	}
}

func TestReservedOnlyForTheirUsers(t *testing.T) {
	p := newPool(t, "10.0.0.1", "10.0.0.2")
	p.Reserve([]netip.Addr{addr("10.0.0.1"), addr("10.9.9.9")})
	if a := take(t, p, none, addr("10.0.0.1"), none); a != addr("10.0.0.2") {
		t.Fatalf("got %s", a)
	}
	if _, err := p.Take("bob", none, none, none); !errors.Is(err, ippool.ErrEmpty) {
		t.Fatalf("got %v, want ErrEmpty", err)
	}
	if a := take(t, p, addr("10.0.0.1"), none, none); a != addr("10.0.0.1") {
		t.Fatalf("got %s", a)
	}
	p.Give(addr("10.0.0.1"))
	p.Reserve(nil)
	if a := take(t, p, none, none, none); a != addr("10.0.0.1") {
		t.Fatalf("got %s", a)
	}
}

func TestPrefix(t *testing.T) {
	for _, c := range []struct{ prefix, first, last string }{
		{"10.99.0.0/24", "10.99.0.1", "10.99.0.254"},
		{"10.99.0.77/24", "10.99.0.1", "10.99.0.254"},
		{"10.99.0.4/30", "10.99.0.5", "10.99.0.6"},
		{"10.99.0.4/31", "10.99.0.4", "10.99.0.5"},
		{"10.99.0.4/32", "10.99.0.4", "10.99.0.4"},
		{"0.0.0.0/0", "0.0.0.1", "255.255.255.254"},
	} {
		want := ippool.Range{First: addr(c.first), Last: addr(c.last)}
		if got := ippool.Prefix(netip.MustParsePrefix(c.prefix)); got != want {
			t.Errorf("%s: got %v, want %v", c.prefix, got, want)
		}
	}
}

func TestBadRanges(t *testing.T) {
	for _, r := range []ippool.Range{
		{},
		{First: addr("10.0.0.2"), Last: addr("10.0.0.1")},
		{First: addr("10.0.0.2")},
		{First: addr("2001:db8::1"), Last: addr("2001:db8::2")},
		ippool.Prefix(netip.MustParsePrefix("2001:db8::/64")),
	} {
		if _, err := ippool.New([]ippool.Range{r}); !errors.Is(err, ippool.ErrRange) {
			t.Errorf("%v: got %v, want ErrRange", r, err)
		}
	}
	p, err := ippool.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Take("alice", none, none, none); !errors.Is(err, ippool.ErrEmpty) {
		t.Fatalf("got %v, want ErrEmpty", err)
	}
}

func TestManyAtOnce(t *testing.T) {
	p, err := ippool.New([]ippool.Range{ippool.Prefix(netip.MustParsePrefix("10.1.0.0/16"))})
	if err != nil {
		t.Fatal(err)
	}
	var seen sync.Map
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 8191 {
				a, err := p.Take("alice", none, none, none)
				if err != nil {
					t.Error(err)
					return
				}
				if _, twice := seen.LoadOrStore(a, true); twice {
					t.Errorf("%s given twice", a)
				}
			}
		})
	}
	wg.Wait()
	if p.InUse() != 65528 {
		t.Fatalf("%d in use", p.InUse())
	}
}

// BenchmarkTakeNearlyFull takes the only free address of a full /16, the worst case.
func BenchmarkTakeNearlyFull(b *testing.B) {
	p, err := ippool.New([]ippool.Range{ippool.Prefix(netip.MustParsePrefix("10.1.0.0/16"))})
	if err != nil {
		b.Fatal(err)
	}
	for range p.Size() {
		if _, err := p.Take("alice", none, none, none); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		p.Give(addr("10.1.128.0"))
		if _, err := p.Take("alice", none, none, none); err != nil {
			b.Fatal(err)
		}
	}
}
