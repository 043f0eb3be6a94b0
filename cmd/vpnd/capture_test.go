package main

import (
	"testing"
	"time"
)

func TestCaptureName(t *testing.T) {
	at := time.Date(2026, 11, 25, 9, 30, 0, 0, time.UTC)
	for of, want := range map[string]string{
		"alice": "alice-20261125-093000.pcapng", "../etc/käthe": "_etc_k_the-20261125-093000.pcapng",
		"-rf": "rf-20261125-093000.pcapng", "2001:db8::1": "2001_db8__1-20261125-093000.pcapng",
	} {
		if got := captureName(of, at); got != want {
			t.Errorf("%s: %s", of, got)
		}
	}
}

func TestCaptureFaults(t *testing.T) {
	h := newHouse(t)
	h.fails("", "a time from 1s to 1h", "capture", "alice", "--for", "2h")
	h.fails("", "from 1 to 1024 MiB", "capture", "alice", "--size", "0")
	h.fails("", "the daemon is not running", "capture", "alice")
	h.fails("", "USER, ID or ADDRESS is missing", "capture")
}
