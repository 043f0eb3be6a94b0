package daemon

import (
	"net/netip"
	"testing"
	"vpnd/internal/config"
)

func TestPrefixes(t *testing.T) {
	for text, want := range map[string]int{
		"10.99.0.10-10.99.0.250": 11, "10.0.0.0-10.0.255.255": 1, "10.0.0.1-10.0.0.1": 1, "255.255.255.254-255.255.255.255": 1,
		"0.0.0.0-255.255.255.255": 1,
	} {
		r := parse(t, text)
		got := prefixes([]config.Range{r})
		if len(got) != want {
			t.Errorf("%s: %v, want %d prefixes", text, got, want)
		}
		next := r.First
		for _, p := range got {
			if p.Masked().Addr() != next {
				t.Errorf("%s: %v begins at %v, want %v", text, p, p.Addr(), next)
			}
			next = lastOf(p).Next()
		}
		if next != r.Last.Next() {
			t.Errorf("%s: ends before %v", text, next)
		}
	}
}

func parse(t *testing.T, text string) config.Range {
	t.Helper()
	for i := range text {
		if text[i] == '-' {
			return config.Range{First: netip.MustParseAddr(text[:i]), Last: netip.MustParseAddr(text[i+1:])}
		}
	}
	t.Fatal(text)
	return config.Range{}
}
