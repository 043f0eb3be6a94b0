package mgmt

import (
	"testing"
	"vpnd/mgmt/access"
)

// One who listens often keeps nobody else from listening.
func TestListenersOfOne(t *testing.T) {
	b := newBus()
	one, other := access.Identity{Name: "one", Role: access.Viewer}, access.Identity{Name: "other", Role: access.Viewer}
	var open []chan Event
	for c := b.listen(one); c != nil && len(open) <= maxListeners; c = b.listen(one) {
		open = append(open, c)
	}
	if len(open) != maxOfOne || b.listen(other) == nil {
		t.Fatalf("%d listeners of one, and none of another", len(open))
	}
	b.leave(open[0])
	if b.listen(one) == nil {
		t.Error("the place of one who left is not free")
	}
}
