package session

import (
	"strings"
	"vpnd/ppp/wire"
)

// traceLen is how many frames are kept for a trace until the user is known.
const traceLen = 64

type traceState uint8

const (
	traceOff   traceState = iota
	traceMaybe            // the user is not known yet
	traceOn
)

// trace logs a control frame in readable form, without secrets, if this peer or user is watched.
func (s *session) trace(direction string, frame []byte) {
	if s.tracing == traceOff {
		return
	}
	line := direction + " " + wire.Format(frame)
	if s.tracing == traceMaybe {
		if len(s.traced) < traceLen {
			s.traced = append(s.traced, line)
		}
		return
	}
	s.log.Info("negotiation", "frame", line)
}

// traceUser decides about a trace that waits for the user's name.
func (s *session) traceUser(user string) {
	if s.tracing != traceMaybe {
		return
	}
	s.tracing = traceOff
	if strings.EqualFold(s.m.cfg.Trace, user) {
		s.tracing = traceOn
		for _, line := range s.traced {
			s.log.Info("negotiation", "frame", line)
		}
	}
	s.traced = nil
}
