package session

import (
	"vpnd/internal/dataplane"
	"vpnd/internal/link"
)

// Kind is the class in which an open connection is counted.
type Kind struct {
	Type       link.Type
	Encryption string
}

// PoolUse is how much of a pool is in use, in addresses.
type PoolUse struct{ Size, Used int }

// Counters are a Manager's counters since its start, and its current figures.
type Counters struct {
	Open      map[Kind]int
	Pending   int                           // sessions that are not up yet
	Verifying int                           // log-ins in verification
	Waiting   int                           // log-ins that wait for verification
	Moved     map[link.Type]dataplane.Stats // by type, including sessions that are gone
	Pools     map[string]PoolUse            // by name
	Panics    uint64                        // sessions that ended by a fault of ours
	LeftOut   uint64                        // refusals over the limits
}

// Counters returns the counters. It takes no lock that a packet takes.
func (m *Manager) Counters() Counters {
	c := Counters{
		Open: map[Kind]int{}, Moved: map[link.Type]dataplane.Stats{}, Pools: map[string]PoolUse{}, Verifying: len(m.gate), Panics: m.panics.Load(),
		LeftOut: m.refusals.leftOut() + m.untaken.leftOut(),
	}
	c.Waiting = max(int(m.waiting.Load())-c.Verifying, 0)
	m.poolsLock.RLock()
	for name, p := range m.pools {
		c.Pools[name] = PoolUse{p.Addresses.Size(), p.Addresses.InUse()}
	}
	m.poolsLock.RUnlock()
	for _, s := range m.account(&c) {
		if port := s.port.Load(); port != nil {
			c.Moved[s.info.Type] = sum(c.Moved[s.info.Type], port.Stats())
		}
	}
	return c
}

// account copies the figures that the lock guards, and the sessions of the same moment.
func (m *Manager) account(c *Counters) []*session {
	m.mu.Lock()
	defer m.mu.Unlock()
	for kind, n := range m.open {
		c.Open[kind] = n
	}
	for kind, st := range m.moved {
		c.Moved[kind] = st
	}
	for _, n := range m.pending {
		c.Pending += n
	}
	all := make([]*session, 0, len(m.sessions))
	for _, s := range m.sessions {
		all = append(all, s)
	}
	return all
}

// count counts s as open as kind. The zero value counts it as not open. The caller holds the
// Manager's lock.
func (m *Manager) count(s *session, kind Kind) {
	if s.table.counted != (Kind{}) {
		m.open[s.table.counted]--
	}
	if s.table.counted = kind; kind != (Kind{}) {
		m.open[kind]++
	}
}

// addMoved adds the traffic of a session to that of the sessions that are gone, once. The caller
// holds the Manager's lock, and the session's port no longer passes packets.
func (m *Manager) addMoved(s *session) {
	if port := s.port.Load(); port != nil && m.sessions[s.id] == s {
		m.moved[s.info.Type] = sum(m.moved[s.info.Type], port.Stats())
	}
}

func sum(a, b dataplane.Stats) dataplane.Stats {
	return dataplane.Stats{
		RxPackets: a.RxPackets + b.RxPackets, RxBytes: a.RxBytes + b.RxBytes, TxPackets: a.TxPackets + b.TxPackets, TxBytes: a.TxBytes + b.TxBytes,
		Received: a.Received + b.Received,
	}
}
