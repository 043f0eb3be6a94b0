package timesync

import "time"

// View is a State in the form for commands and programs. Durations are in seconds.
type View struct {
	Clock     time.Time    `json:"clock"`     // the host's, UTC
	Corrected time.Time    `json:"corrected"` // UTC; the same while no measurement counts
	Local     time.Time    `json:"local"`     // the host's, in its zone
	Zone      string       `json:"zone"`
	State     Status       `json:"state"`
	Measured  bool         `json:"measured"` // offset, round_trip and server are valid
	Offset    float64      `json:"offset"`   // the right time less the host's
	RoundTrip float64      `json:"round_trip"`
	Server    string       `json:"server"` // whose answer was used
	MaxOffset float64      `json:"max_offset"`
	Interval  float64      `json:"interval"` // between two measurements
	Servers   []ServerView `json:"servers"`
	// Measurements are the last measurements that gave a time, oldest first.
	Measurements []MeasurementView `json:"measurements"`
}

// ServerView is one server's answer.
type ServerView struct {
	Server    string  `json:"server"`
	Address   string  `json:"address"` // of the name; "": it was not found
	Offset    float64 `json:"offset"`
	RoundTrip float64 `json:"round_trip"`
	Stratum   int     `json:"stratum"`
	Outvoted  bool    `json:"outvoted"`
	SameAs    string  `json:"same_as"` // server with the same address; both have one vote; "": none
	Error     string  `json:"error"`   // "": it answered
}

// MeasurementView is an offset that was measured.
type MeasurementView struct {
	At        time.Time `json:"at"`
	Offset    float64   `json:"offset"`
	RoundTrip float64   `json:"round_trip"`
}

// View is the current View.
func (c *Clock) View() View {
	s, kept, now := c.State(), c.Measurements(), c.cfg.read().Wall
	maxOffset, interval := c.limits()
	zone, _ := now.Zone()
	v := View{
		Clock: now.UTC(), Corrected: now.UTC(), Local: now, Zone: zone, State: s.Status, Measured: s.Fresh,
		MaxOffset: maxOffset.Seconds(), Interval: interval.Seconds(),
		Servers: make([]ServerView, len(s.Servers)), Measurements: make([]MeasurementView, len(kept)),
	}
	if s.Fresh {
		v.Corrected = now.UTC().Add(s.Offset)
		v.Offset, v.RoundTrip, v.Server = s.Offset.Seconds(), s.RoundTrip.Seconds(), s.Server
	}
	for i, a := range s.Servers {
		v.Servers[i] = ServerView{Server: a.Server, Offset: a.Offset.Seconds(), RoundTrip: a.RoundTrip.Seconds(), Stratum: a.Stratum, Outvoted: a.Outvoted, SameAs: a.Same}
		if a.Address.IsValid() {
			v.Servers[i].Address = a.Address.String()
		}
		if a.Err != nil {
			v.Servers[i].Error = a.Err.Error()
		}
	}
	for i, m := range kept {
		v.Measurements[i] = MeasurementView{m.At.UTC(), m.Offset.Seconds(), m.RoundTrip.Seconds()}
	}
	return v
}

// limits gives the limits of the watch.
func (c *Clock) limits() (maxOffset, interval time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.watch.maxOffset, c.watch.interval
}
