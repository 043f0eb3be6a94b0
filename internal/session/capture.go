package session

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
	"vpnd/internal/capture"
	"vpnd/ppp/wire"
)

const (
	// maxCaptures is how many captures run at once.
	maxCaptures = 4
	// maxPendingFrames and maxPendingFrameBytes limit the frames that a session keeps while its
	// user is not known and a capture waits for a user. maxPendingInAll limits those of all
	// sessions.
	maxPendingFrames     = 64
	maxPendingFrameBytes = 8 << 10
	maxPendingInAll      = 16 << 20

	// firstControl is the first number of the network control protocols (RFC 1661 section 2).
	firstControl wire.Protocol = 0x8000
)

// Errors of Capture.
var (
	ErrCaptures     = fmt.Errorf("%d captures are running, which is the limit: end one first", maxCaptures)
	ErrNoConnection = errors.New("there is no such connection: it may have ended already")
)

// Capture selects the frames to record: those of a user, of a connection or of a peer. The session
// keeps the negotiation before the user's name is known, and records it if the name is the
// capture's.
type Capture struct {
	User       string
	Connection string     // id
	Peer       netip.Addr // outer address
	All        bool       // user data too
	To         *capture.Recording
}

// Capture begins a capture. Stop, or the Manager's end, ends it. After stop has returned, only a
// packet that is already on its way can still enter the Recording. The error may be ErrCaptures or
// ErrNoConnection.
func (m *Manager) Capture(c Capture) (stop func(), err error) {
	if err := m.setCaptures(func(list []*Capture) ([]*Capture, error) {
		_, found := m.sessions[c.Connection]
		switch {
		case c.Connection != "" && !found:
			return nil, fmt.Errorf("%s: %w", c.Connection, ErrNoConnection)
		case len(list) >= maxCaptures:
			return nil, ErrCaptures
		}
		return append(slices.Clone(list), &c), nil
	}); err != nil {
		return nil, err
	}
	m.tapAll(&c)
	return func() {
		_ = m.setCaptures(func(list []*Capture) ([]*Capture, error) {
			return slices.DeleteFunc(slices.Clone(list), func(other *Capture) bool { return other == &c }), nil
		})
		m.tapAll(&c)
	}, nil
}

// setCaptures changes the list of running captures.
func (m *Manager) setCaptures(change func([]*Capture) ([]*Capture, error)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []*Capture
	if now := m.captures.Load(); now != nil {
		list = *now
	}
	list, err := change(list)
	switch {
	case err != nil:
		return err
	case len(list) == 0:
		m.captures.Store(nil)
	default:
		m.captures.Store(&list)
	}
	return nil
}

// tapAll starts or ends the recording of the data of all connections of c.
func (m *Manager) tapAll(c *Capture) {
	if !c.All {
		return
	}
	for _, s := range m.all() {
		s.mu.Lock()
		s.tap()
		s.mu.Unlock()
	}
}

// interest says whether a capture wants a session's frames.
type interest uint8

const (
	unwanted interest = iota
	perhaps           // the user is not known yet
	wanted
)

// captured is the part of a session that captures need.
type captured struct {
	user   string // let in or not; "": not known yet
	source *capture.Source
	frames []capture.Frame // until the user is known
	bytes  int             // of frames
}

func (s *session) wantedBy(c *Capture) interest {
	switch {
	case c.Connection != "":
		if c.Connection == s.id {
			return wanted
		}
	case c.Peer.IsValid():
		if c.Peer == s.source() {
			return wanted
		}
	case s.capture.user == "":
		return perhaps
	case strings.EqualFold(c.User, s.capture.user):
		return wanted
	}
	return unwanted
}

// record gives a control frame to the captures that want it. The caller holds the lock.
func (s *session) record(now time.Time, received bool, frame []byte) {
	captures := s.m.captures.Load()
	if captures == nil {
		return
	}
	if protocol, _, err := wire.ParseFrame(frame); err == nil && protocol < firstControl {
		return // user data that comes too early
	}
	copied, waited := capture.Control(s.recorded(), now, received, frame), false
	for _, c := range *captures {
		switch s.wantedBy(c) {
		case wanted:
			c.To.Add(copied)
		case perhaps:
			waited = true
		case unwanted:
		}
	}
	if waited {
		s.holdFrame(copied)
	}
}

// holdFrame keeps a frame until the user is known.
func (s *session) holdFrame(f capture.Frame) {
	if len(s.capture.frames) >= maxPendingFrames || s.capture.bytes+f.Len() > maxPendingFrameBytes {
		return
	}
	if s.m.pendingFrameBytes.Add(int64(f.Len())) > maxPendingInAll {
		s.m.pendingFrameBytes.Add(-int64(f.Len()))
		return
	}
	s.capture.frames = append(s.capture.frames, f)
	s.capture.bytes += f.Len()
}

// release discards the kept frames.
func (s *session) release() {
	s.m.pendingFrameBytes.Add(-int64(s.capture.bytes))
	s.capture.frames, s.capture.bytes = nil, 0
}

// name stores the user, as the account or otherwise the peer spells it. It gives the kept frames to
// the captures that wait for that user. The caller holds the lock.
func (s *session) name(user string) {
	if _, after, found := strings.Cut(user, `\`); found {
		user = after
	}
	before := s.capture.user
	s.capture.user = user
	if captures := s.m.captures.Load(); captures != nil && before == "" {
		for _, c := range *captures {
			if c.User == "" || s.wantedBy(c) != wanted {
				continue
			}
			for _, f := range s.capture.frames {
				c.To.Add(f)
			}
		}
	}
	s.release()
}

// recorded describes the session for a recording.
func (s *session) recorded() *capture.Source {
	if s.capture.source == nil {
		s.capture.source = &capture.Source{Connection: s.id, Type: string(s.info.Type), Peer: s.source()}
	}
	return s.capture.source
}

// tap makes the data path record the user's packets, if a capture wants them. The caller holds the
// lock.
func (s *session) tap() {
	port := s.port.Load()
	if port == nil {
		return
	}
	var to []*capture.Recording
	if captures := s.m.captures.Load(); captures != nil {
		for _, c := range *captures {
			if c.All && s.wantedBy(c) == wanted {
				to = append(to, c.To)
			}
		}
	}
	if len(to) == 0 {
		port.SetTap(nil)
		return
	}
	src := s.recorded()
	port.SetTap(func(received bool, ip []byte) {
		f := capture.Packet(src, time.Now(), received, ip)
		for _, r := range to {
			r.Add(f)
		}
	})
}
