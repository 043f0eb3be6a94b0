package main

import (
	"encoding/json"
	"runtime"
	"strings"
	"testing"
	"vpnd/internal/buildinfo"
)

func TestVersion(t *testing.T) {
	h := newHouse(t)
	for _, args := range [][]string{{"version"}, {"--version"}} {
		got := h.ok("", args...)
		if !strings.HasPrefix(got, "vpnd ") || !strings.Contains(got, ", commit ") || !strings.HasSuffix(got, ", "+runtime.Version()+"\n") || strings.Contains(got, "devel") {
			t.Errorf("%q: %q", args, got)
		}
	}
	var build buildinfo.Info
	if err := json.Unmarshal([]byte(h.ok("", "version", "--json")), &build); err != nil || build != buildinfo.Read() {
		t.Errorf("%+v, %v", build, err)
	}
}
