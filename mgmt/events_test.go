package mgmt

import (
	"slices"
	"testing"
	"time"
	"vpnd/mgmt/access"
)

// A client with many listeners does not keep others from listening.
func TestListenersOfOne(t *testing.T) {
	b := newBus(time.Now())
	one, other := access.Identity{Name: "one", Role: access.Viewer}, access.Identity{Name: "other", Role: access.Viewer}
	var open []*listener
	for l, err := b.enter(one); err == nil && len(open) <= maxListeners; l, err = b.enter(one) {
		open = append(open, l)
	}
	if _, err := b.enter(other); len(open) != maxOfOne || err != nil {
		t.Fatalf("%d listeners of one, and another: %v", len(open), err)
	}
	b.leave(open[0])
	if _, err := b.enter(one); err != nil {
		t.Errorf("the place of one who left: %v", err)
	}
}

// A listener that comes back gets the wanted events that it missed, and learns if some are lost.
func TestComeBack(t *testing.T) {
	b := newBus(time.UnixMicro(5_000_000))
	back := func(user string, after int64) (users []string, gap bool) {
		l, err := b.enter(access.Identity{})
		if err != nil {
			t.Fatal(err)
		}
		missed, gap, _ := b.listen(l, (&listenInput{User: user}).wants, after)
		b.leave(l)
		for _, e := range missed {
			users = append(users, e.User)
		}
		return users, gap
	}
	for _, user := range []string{"alice", "bob", "alice", "carl"} {
		b.publish(Event{User: user})
	}
	for _, c := range []struct {
		user  string
		after int64
		want  []string
		gap   bool
	}{
		{"", 0, nil, false},
		{"", 5_000_003, nil, false},
		{"", 5_000_001, []string{"alice", "carl"}, false},
		{"ALICE", 5_000_000, []string{"alice"}, false},
		{"", 4_999_999, []string{"alice", "bob", "alice", "carl"}, false},
		{"", 4_000_000, []string{"alice", "bob", "alice", "carl"}, true}, // of an earlier daemon
		{"", 6_000_000, []string{"alice", "bob", "alice", "carl"}, true}, // of a clock that was ahead
	} {
		if got, gap := back(c.user, c.after); !slices.Equal(got, c.want) || gap != c.gap {
			t.Errorf("%q after %d: %q, gap: %v; want %q, %v", c.user, c.after, got, gap, c.want, c.gap)
		}
	}
	for range maxReplayed {
		b.publish(Event{User: "dora"})
	}
	if got, gap := back("", 5_000_002); len(got) != maxReplayed || got[0] != "dora" || !gap {
		t.Errorf("%d events, gap: %v", len(got), gap)
	}
	if got, gap := back("", 5_000_003); len(got) != maxReplayed || gap {
		t.Errorf("just in time: %d events, gap: %v", len(got), gap)
	}
}
