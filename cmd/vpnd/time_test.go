package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"
	"vpnd/internal/timesync"
)

func (h house) configure(yaml string) {
	h.t.Helper()
	if err := os.WriteFile(h.config, []byte("state_dir: "+h.dir+"\n"+yaml), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

func TestTimeWithoutServers(t *testing.T) {
	h := newHouse(t)
	r := h.run("", "time")
	if r.status != 15 || !strings.Contains(r.stdout, "no servers configured") || !strings.Contains(r.stderr, "time.servers is empty: vpnd uses the host's clock") {
		t.Errorf("%+v", r)
	}
	var v timesync.View
	r = h.run("", "time", "--json")
	if err := json.Unmarshal([]byte(r.stdout), &v); r.status != 15 || err != nil || v.Measured || v.State != timesync.NoServers || v.Clock.IsZero() || len(v.Servers) != 0 {
		t.Errorf("%+v, %v", v, err)
	}
}

func TestTimeNoAnswer(t *testing.T) {
	h := newHouse(t)
	h.configure("time: {servers: ['127.0.0.1:1']}\n")
	r := h.run("", "time")
	if r.status != 15 || !strings.Contains(r.stdout, "no time service there (port unreachable)") || r.stderr != "vpnd: no time server answers\n" {
		t.Errorf("%+v", r)
	}
	r = h.run("", "time", "--json")
	var v timesync.View
	if err := json.Unmarshal([]byte(r.stdout), &v); r.status != 15 || err != nil || v.Measured || v.State != timesync.Silent || len(v.Servers) != 1 || v.Servers[0].Error == "" {
		t.Errorf("%+v: %+v, %v", r, v, err)
	}
}

func TestPrintTime(t *testing.T) {
	utc := time.Date(2026, 3, 1, 11, 0, 0, 0, time.UTC)
	v := timesync.View{
		Clock: utc, Corrected: utc.Add(100 * time.Second), Local: utc.In(time.FixedZone("CET", 3600)), State: timesync.Off, Measured: true,
		Offset: 100.25, RoundTrip: 0.0123, Server: "a", Servers: []timesync.ServerView{
			{Server: "a", Offset: 100.25, RoundTrip: 0.0123, Stratum: 2},
			{Server: "b", Offset: -3, RoundTrip: 0.01, Stratum: 1, Outvoted: true},
			{Server: "c", Error: "no answer within 3s"},
			{Server: "d", Offset: 100.25, RoundTrip: 0.01, Stratum: 2, SameAs: "a"},
		},
	}
	want := strings.TrimPrefix(`
current system time:  2026-03-01 11:00:00 UTC
local time:           2026-03-01 12:00:00 CET (+01:00)
state:                off
corrected time:       2026-03-01 11:01:40 UTC
offset:               +1m40.25s (the host's clock is behind)
round trip:           12.3ms
server:               a

SERVER  OFFSET      ROUND TRIP  STRATUM  SAYS
a       +1m40.25s   12.3ms      2        ok
b       -3s         10ms        1        outvoted
c       -           -           -        no answer within 3s
d       +1m40.25s   10ms        2        ok (the same server as a: one vote for both)
`, "\n")
	var out strings.Builder
	if err := printTime(&out, v); err != nil || strings.Join(strings.Fields(out.String()), " ") != strings.Join(strings.Fields(want), " ") {
		t.Errorf("%v\n%s", err, &out)
	}
}
