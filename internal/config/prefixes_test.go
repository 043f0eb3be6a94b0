package config_test

import (
	"net/netip"
	"strings"
	"testing"
	"vpnd/internal/config"
)

// The prefixes cover a range without a gap, with the fewest possible prefixes.
func TestPrefixes(t *testing.T) {
	for text, want := range map[string]int{
		"10.99.0.10-10.99.0.250": 11, "10.0.0.0-10.0.255.255": 1, "10.0.0.1-10.0.0.1": 1, "255.255.255.254-255.255.255.255": 1,
		"0.0.0.0-255.255.255.255": 1,
	} {
		first, last, _ := strings.Cut(text, "-")
		got := config.Network{Pool: []config.Range{{First: addr(first), Last: addr(last)}}}.Prefixes()
		if len(got) != want {
			t.Errorf("%s: got %v, want %d prefixes", text, got, want)
		}
		next := addr(first)
		for _, p := range got {
			if p.Masked().Addr() != next {
				t.Errorf("%s: %v begins at %v, want %v", text, p, p.Addr(), next)
			}
			next = end(p).Next()
		}
		if next != addr(last).Next() {
			t.Errorf("%s: ends before %v", text, next)
		}
	}
}

// end is the last address of a prefix.
func end(p netip.Prefix) netip.Addr {
	a := p.Masked().Addr().As4()
	for bit := p.Bits(); bit < 32; bit++ {
		a[bit/8] |= 0x80 >> (bit % 8)
	}
	return netip.AddrFrom4(a)
}
