package fsm_test

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"vpnd/ppp/fsm"
)

var events = map[string]fsm.Event{
	"Up": fsm.Up, "Down": fsm.Down, "Open": fsm.Open, "Close": fsm.Close, "TO+": fsm.TOPlus, "TO-": fsm.TOMinus,
	"RCR+": fsm.RCRPlus, "RCR-": fsm.RCRMinus, "RCA": fsm.RCA, "RCN": fsm.RCN, "RTR": fsm.RTR, "RTA": fsm.RTA,
	"RUC": fsm.RUC, "RXJ+": fsm.RXJPlus, "RXJ-": fsm.RXJMinus, "RXR": fsm.RXR,
}

var actions = map[string]fsm.Action{
	"tlu": fsm.TLU, "tld": fsm.TLD, "tls": fsm.TLS, "tlf": fsm.TLF, "irc": fsm.IRC, "zrc": fsm.ZRC, "scr": fsm.SCR,
	"sca": fsm.SCA, "scn": fsm.SCN, "str": fsm.STR, "sta": fsm.STA, "scj": fsm.SCJ, "ser": fsm.SER,
}

// TestTable compares every cell of RFC 1661 section 4.1, read from the text, with Step.
func TestTable(t *testing.T) {
	text, err := os.ReadFile("testdata/rfc1661-table.txt")
	if err != nil {
		t.Fatal(err)
	}
	cells, first := 0, fsm.Initial
	for line := range strings.Lines(string(text)) {
		name, row, ok := strings.Cut(line, "|")
		name = strings.TrimSpace(name)
		event, known := events[name]
		if !ok || !known {
			if strings.HasPrefix(name, "Events") {
				first = fsm.Initial
				if strings.Contains(row, "Req-Sent") {
					first = fsm.ReqSent
				}
			}
			continue
		}
		for i, cell := range strings.Fields(row) {
			cells++
			checkCell(t, first+fsm.State(i), event, name, cell)
		}
	}
	if cells != 160 {
		t.Errorf("%d cells read, want 160", cells)
	}
}

func checkCell(t *testing.T, state fsm.State, event fsm.Event, name, cell string) {
	got, ok := fsm.Step(state, event)
	if cell == "-" {
		if ok || got.Next != state || got.Actions != 0 {
			t.Errorf("%s in %s: %+v, want nothing", name, state, got)
		}
		return
	}
	list, next, both := strings.Cut(cell, "/")
	if !both {
		list, next = "", cell
	}
	want, err := strconv.Atoi(strings.TrimRight(next, "rpx"))
	if err != nil {
		t.Fatalf("%s in %s: cell %q: %v", name, state, cell, err)
	}
	var set fsm.Action
	for a := range strings.SplitSeq(list, ",") {
		if a == "" {
			continue
		}
		if actions[a] == 0 {
			t.Fatalf("%s in %s: cell %q: unknown action %q", name, state, cell, a)
		}
		set |= actions[a]
	}
	if !ok || got.Next != fsm.State(want) || got.Actions != set {
		t.Errorf("%s in %s: got %+v (%v), want %s", name, state, got, ok, cell)
	}
}

func TestOutOfRange(t *testing.T) {
	for _, c := range []struct {
		s fsm.State
		e fsm.Event
	}{{10, fsm.Up}, {255, fsm.RXR}, {fsm.Opened, 16}, {0, 255}} {
		if tr, ok := fsm.Step(c.s, c.e); ok || tr.Next != c.s {
			t.Errorf("Step(%d, %d) = %+v, %v", c.s, c.e, tr, ok)
		}
	}
	if got := fsm.State(10).String(); got != "invalid" {
		t.Errorf("state 10 is called %q", got)
	}
}
