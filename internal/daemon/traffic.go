package daemon

import (
	"context"
	"maps"
	"sync"
	"vpnd/internal/reason"
	"vpnd/internal/session"
	"vpnd/usermgmt"
)

// traffic is what users have moved that is not stored yet, and what is known of what is. A quota holds against both, so
// that a full disk gives nobody more.
type traffic struct {
	mu    sync.Mutex
	moved map[string]usermgmt.Traffic // by user
	month string                      // of stored
	store map[string]uint64           // bytes of the month, as they were read last
}

func newTraffic() *traffic {
	return &traffic{moved: map[string]usermgmt.Traffic{}, store: map[string]uint64{}}
}

// add takes what users have moved since it was called last, and gives all that is not stored.
func (t *traffic) add(usage map[string]session.Usage) map[string]usermgmt.Traffic {
	t.mu.Lock()
	defer t.mu.Unlock()
	for user, u := range usage {
		sum := t.moved[user]
		t.moved[user] = usermgmt.Traffic{Rx: sum.Rx + u.Rx, Tx: sum.Tx + u.Tx}
	}
	return maps.Clone(t.moved)
}

// stored forgets what is stored by now.
func (t *traffic) stored() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.moved = map[string]usermgmt.Traffic{}
}

// used is what a user has moved in a month of which so much is stored, or with an error as much as was when it could be read
// last; false: that is not known.
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

// account adds what users have moved to their months, and hangs those up that have used up their quota.
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

// exhausted says why a user with a quota is hung up; the zero value: it is not.
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

// used is the bytes that a user has moved in this month. When they cannot be read, those count that could be read last, with
// what has come since.
func (d *daemon) used(ctx context.Context, user string) (uint64, error) {
	month := usermgmt.Month(d.clock.Corrected())
	t, err := d.store.Traffic(ctx, user, month)
	used, known := d.traffic.used(user, month, t.Total(), err)
	if known {
		err = nil
	}
	return used, err
}
