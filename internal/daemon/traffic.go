package daemon

import (
	"context"
	"maps"
	"sync"
	"vpnd/internal/reason"
	"vpnd/internal/session"
	"vpnd/usermgmt"
)

// traffic is the users' traffic that is not stored yet, with the last known stored traffic. A quota
// counts both, so that a full disk gives nobody more.
type traffic struct {
	mu    sync.Mutex
	moved map[string]usermgmt.Traffic // by user
	month string                      // month of store
	store map[string]uint64           // bytes of the month, as last read
}

func newTraffic() *traffic {
	return &traffic{moved: map[string]usermgmt.Traffic{}, store: map[string]uint64{}}
}

// add adds the traffic since the last call, and gives all traffic that is not stored.
func (t *traffic) add(usage map[string]session.Usage) map[string]usermgmt.Traffic {
	t.mu.Lock()
	defer t.mu.Unlock()
	for user, u := range usage {
		sum := t.moved[user]
		t.moved[user] = usermgmt.Traffic{Rx: sum.Rx + u.Rx, Tx: sum.Tx + u.Tx}
	}
	return maps.Clone(t.moved)
}

// stored drops the traffic that is stored by now.
func (t *traffic) stored() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.moved = map[string]usermgmt.Traffic{}
}

// used is a user's traffic in a month: the stored bytes, and those that are not stored yet. With an
// error, the last known value replaces stored; false: there is none.
func (t *traffic) used(user, month string, stored uint64, err error) (uint64, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.month != month {
		t.month, t.store = month, map[string]uint64{}
	}
	known := err == nil
	if known {
		t.store[user] = stored
	} else {
		stored, known = t.store[user]
	}
	return stored + t.moved[user].Total(), known
}

// account adds the users' traffic to their months, and hangs up users who have used up their quota.
func (d *daemon) account(ctx context.Context) {
	moved := d.traffic.add(d.sessions.Usage())
	if len(moved) == 0 {
		return
	}
	err := d.store.AddTraffic(ctx, usermgmt.Month(d.clock.Corrected()), moved)
	if err != nil {
		d.log.Warn("the users' traffic could not be stored; vpnd adds it later", "error", err)
	} else {
		d.traffic.stored()
	}
	for user := range moved {
		quota := d.accounts[user].Terms.Quota
		if quota == 0 {
			continue
		}
		if why := d.exhausted(ctx, user, quota); !why.IsZero() {
			d.sessions.DropIf(func(c session.Connection) bool { return c.User == user }, why)
		}
	}
}

// exhausted says why a user with a quota is hung up; the zero value: the quota is not used up.
func (d *daemon) exhausted(ctx context.Context, user string, quota uint64) reason.Reason {
	used, err := d.used(ctx, user)
	if err != nil {
		return reason.New(reason.QuotaUnknown, err)
	}
	if used >= quota {
		return reason.New(reason.QuotaUsedUp)
	}
	return reason.Reason{}
}

// used is the user's bytes in this month. If they cannot be read, the last known bytes and the
// later traffic count.
func (d *daemon) used(ctx context.Context, user string) (uint64, error) {
	month := usermgmt.Month(d.clock.Corrected())
	t, err := d.store.Traffic(ctx, user, month)
	used, known := d.traffic.used(user, month, t.Total(), err)
	if known {
		err = nil
	}
	return used, err
}
