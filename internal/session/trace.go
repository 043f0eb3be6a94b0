package session

import (
	"strings"
	"vpnd/ppp/wire"
)

// traceLen is how many frames a trace keeps until the user is known.
const traceLen = 64

type traceState uint8

const (
	traceOff   traceState = iota
	traceMaybe            // the user is not known yet
	traceOn
)

// tracing is the state of a session's trace.
type tracing struct {
	state traceState
	lines []string // until the user is known
}

// trace logs a control frame in readable form, without secrets, if Config.Trace names this peer or
// user.
func (s *session) trace(direction string, frame []byte) {
	if s.tracing.state == traceOff {
		return
	}
	line := direction + " " + wire.Format(frame)
	if s.tracing.state == traceMaybe {
		if len(s.tracing.lines) < traceLen {
			s.tracing.lines = append(s.tracing.lines, line)
		}
		return
	}
	s.log.Info("negotiation", "frame", line)
}

// traceUser decides about a trace that waits for the user's name.
func (s *session) traceUser(user string) {
	if s.tracing.state != traceMaybe {
		return
	}
	s.tracing.state = traceOff
	if strings.EqualFold(s.m.cfg.Trace, user) {
		s.tracing.state = traceOn
		for _, line := range s.tracing.lines {
			s.log.Info("negotiation", "frame", line)
		}
	}
	s.tracing.lines = nil
}
