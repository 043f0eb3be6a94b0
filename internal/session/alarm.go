package session

import (
	"time"
	"vpnd/auth"
	"vpnd/internal/reason"
)

// activity is what the session knows from the counters of the data path.
type activity struct {
	received   uint64    // frames received when the alarm last rang
	packets    uint64    // user packets that had passed at quietSince
	quietSince time.Time // since when no user data has passed
	lookAt     time.Time // when to check for idleness next; zero: never
}

// arm sets the alarm to the next time that is due.
func (s *session) arm() {
	next := s.engine.Deadline()
	limit, _ := s.limit()
	for _, t := range []time.Time{s.startAt, s.activity.lookAt, limit} {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	s.alarm.Set(next)
}

// limit returns when the user's time is up, and the reason. Zero means never.
func (s *session) limit() (time.Time, reason.Reason) {
	if !s.up {
		return time.Time{}, reason.Reason{}
	}
	end, why := s.account.terms.Until, s.account.terms.UntilReason
	if t := s.since.Add(s.account.terms.SessionTime); s.account.terms.SessionTime > 0 && (end.IsZero() || t.Before(end)) {
		end, why = t, reason.New(reason.SessionTime)
	}
	return end, why
}

func idleStep(t auth.Terms) time.Duration {
	return min(max(t.IdleTimeout/10, time.Second), 30*time.Second)
}

// fire runs when the alarm rings. Only fire reads the data path's counters for signs of life.
func (s *session) fire() {
	defer s.survive()
	s.do(func(now time.Time) {
		if !s.startAt.IsZero() && !now.Before(s.startAt) {
			s.start(now)
		}
		if port := s.port.Load(); port != nil {
			st := port.Stats()
			if st.Received != s.activity.received {
				s.activity.received = st.Received
				s.engine.Activity(now)
			}
			if data := st.RxPackets + st.TxPackets; data != s.activity.packets {
				s.activity.packets, s.activity.quietSince = data, now
			}
		}
		s.engine.Tick(now)
		if limit, why := s.limit(); !limit.IsZero() && !now.Before(limit) {
			s.account.terms.SessionTime, s.account.terms.Until = 0, time.Time{}
			s.engine.Close(now, why)
		}
		if !s.activity.lookAt.IsZero() && !now.Before(s.activity.lookAt) {
			s.activity.lookAt = now.Add(idleStep(s.account.terms))
			if now.Sub(s.activity.quietSince) >= s.account.terms.IdleTimeout {
				s.activity.lookAt = time.Time{}
				s.engine.Close(now, reason.New(reason.IdleTimeout))
			}
		}
	})
}
