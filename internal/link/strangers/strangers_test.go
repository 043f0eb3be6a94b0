package strangers_test

import (
	"net/netip"
	"testing"
	"vpnd/internal/link/strangers"
)

func addr(n byte) netip.Addr { return netip.AddrFrom4([4]byte{127, 0, 0, n}) }

type guard = strangers.Guard[int, int]

// host adds a host, and checks that victim has to go. 0 means that none has to.
func host(t *testing.T, g *guard, h int, from byte, victim int) {
	t.Helper()
	if got, over := g.Host(h, addr(from)); got != victim || over != (victim != 0) {
		t.Errorf("host %d of %d: %d goes, want %d", h, from, got, victim)
	}
}

// One address has its own limit. The oldest one goes.
func TestPerSource(t *testing.T) {
	g := strangers.New[int, int](strangers.Limits{Total: 10, PerSource: 2})
	host(t, g, 1, 1, 0)
	host(t, g, 2, 1, 0)
	host(t, g, 3, 1, 1)
	g.HostGone(2)
	host(t, g, 4, 1, 0)
	host(t, g, 5, 1, 3)
	host(t, g, 6, 2, 0)
	if st := g.Stats(); st != (strangers.Stats{Hosts: 3, Evicted: 2}) {
		t.Errorf("%+v", st)
	}
}

// When all places are taken, the address with the most gives one up, so a newcomer gets in. Of
// equals, the one that has waited longest goes.
func TestTotal(t *testing.T) {
	g := strangers.New[int, int](strangers.Limits{Total: 4, PerSource: 3})
	host(t, g, 1, 1, 0)
	host(t, g, 2, 2, 0)
	host(t, g, 3, 2, 0)
	host(t, g, 4, 2, 0)
	host(t, g, 5, 3, 2)
	host(t, g, 6, 4, 3)
	host(t, g, 7, 5, 1)
	if st := g.Stats(); st.Hosts != 4 {
		t.Errorf("%+v", st)
	}
}

// A host with a user does not count, until its last user has gone.
func TestUsers(t *testing.T) {
	g := strangers.New[int, int](strangers.Limits{Total: 3, PerSource: 1})
	host(t, g, 1, 1, 0)
	g.Call(11, addr(1))
	g.Authenticated(1, 11)
	g.Authenticated(1, 11)
	g.Call(12, addr(1))
	g.Authenticated(1, 12)
	host(t, g, 2, 1, 0)
	if victim, over := g.CallGone(1, 11); over {
		t.Errorf("%d goes", victim)
	}
	if victim, over := g.CallGone(1, 12); !over || victim != 2 {
		t.Errorf("%d goes: %v", victim, over)
	}
	host(t, g, 3, 1, 1)
	g.HostGone(3)
	if st := g.Stats(); st.Hosts != 0 || st.Calls != 0 {
		t.Errorf("%+v", st)
	}
}

// A user cannot log in on a call that is over, or that had to go.
func TestLateUser(t *testing.T) {
	g := strangers.New[int, int](strangers.Limits{Total: 2, PerSource: 1})
	host(t, g, 1, 1, 0)
	g.Call(11, addr(1))
	if victim, over := g.Call(12, addr(1)); !over || victim != 11 {
		t.Errorf("call %d goes: %v", victim, over)
	}
	g.Authenticated(1, 11)
	g.CallGone(1, 11)
	g.CallGone(1, 12)
	g.Authenticated(1, 12)
	if st := g.Stats(); st.Hosts != 1 || st.Calls != 0 {
		t.Errorf("%+v", st)
	}
	g.Call(13, addr(1))
	g.HostGone(1)
	g.Authenticated(1, 13)
	if _, over := g.CallGone(1, 13); over {
		t.Error("a host that is gone counts again")
	}
	if st := g.Stats(); st.Hosts != 0 || st.Calls != 0 {
		t.Errorf("%+v", st)
	}
}
