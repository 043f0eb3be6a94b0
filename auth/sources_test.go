package auth

import (
	"net/netip"
	"testing"
	"time"
)

// Failures from many addresses do not fill the memory.
func TestSourcesAreBounded(t *testing.T) {
	var s sources
	now := time.Unix(1e9, 0)
	for i := range 3 * maxSources {
		s.failed(Network(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})), now)
	}
	if len(s.by) > maxSources {
		t.Errorf("%d sources", len(s.by))
	}
}
