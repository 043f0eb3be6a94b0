package server

import (
	"net/netip"
	"testing"
	"time"
	"vpnd/internal/link"
	"vpnd/internal/link/linktest"
	"vpnd/internal/reason"
	"vpnd/l2tp"
)

// The call of a half-open tunnel keeps no place if it ends before or during its hand-over.
func TestCallEndsBeforeItBegins(t *testing.T) {
	at := netip.MustParseAddrPort("127.0.3.1:17010")
	var end *linktest.End // of the call that the server hands over
	s, err := Listen(Config{Listen: []netip.Addr{at.Addr()}, Port: at.Port()}, func(l link.Link) (link.Sink, error) {
		end = linktest.NewEnd(t, l)
		l.(*call).down(reason.New(reason.NoRoomTunnels))
		return end, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.closeSockets()
	for _, before := range []bool{true, false} {
		end = nil
		half := &tunnel{s: s, peer: netip.MustParseAddrPort("127.0.3.2:1701"), ctl: l2tp.New(l2tp.Config{}, 1, time.Now())}
		k, err := half.newCall(5)
		if err != nil {
			t.Fatal(err)
		}
		if before {
			k.down(reason.New(reason.NoRoomTunnels))
		}
		if err := k.begin(); err != nil {
			t.Error(err)
		}
		if (end == nil) != before {
			t.Errorf("over before: %v, and somebody gets it: %v", before, end != nil)
		}
		if end != nil {
			end.Want(end.Reasons, "the call was over before it began")
		}
		if st := s.Stats(); st.Calls != 0 || st.UnauthenticatedCalls != 0 {
			t.Errorf("over before: %v: %+v", before, st)
		}
	}
}
