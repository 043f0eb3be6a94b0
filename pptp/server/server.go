// Package server is the PPTP access concentrator: TCP port 1723 and the raw GRE socket. It hands
// each call that a client dials to the link.Accept it was given.
package server

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"time"

	"vpnd/internal/link"
)

// Config says where a Server listens and what it bears. The zero value listens on every address.
type Config struct {
	Listen                  []netip.Addr     // IPv4 addresses to listen on; none: all
	Port                    uint16           // TCP port; 0: 1723
	Hostname                string           // our name in Start-Control-Connection-Reply; empty: "vpnd"
	EchoInterval            time.Duration    // silence before an Echo-Request; 0: 60 s; below 0: off
	HandshakeTimeout        time.Duration    // time for the Start-Control-Connection-Request; 0: 10 s
	MaxConnections          int              // control connections in all; 0: 8192
	MaxConnectionsPerSource int              // control connections of one address; 0: 2048
	MaxCalls                int              // calls in all, at most 32768; 0: 8192
	Logger                  *slog.Logger     // nil: nothing is logged
	Now                     func() time.Time // nil: time.Now
}

// Server accepts PPTP control connections and their calls.
type Server struct{}

// Stats are the server's counters since it started, and what stands now.
type Stats struct {
	Connections, HalfOpen, Calls int
	Dropped                      map[string]uint64
}

// Listen opens the TCP and GRE sockets. Nothing is accepted before Serve.
func Listen(_ Config, _ link.Accept) (*Server, error) { return nil, errors.ErrUnsupported }

// Serve accepts connections until Shutdown.
func (s *Server) Serve() error { return errors.ErrUnsupported }

// Shutdown hangs every call up, stops every control connection and closes the sockets.
func (s *Server) Shutdown(_ context.Context) error { return nil }

// Stats returns a copy of the counters.
func (s *Server) Stats() Stats { return Stats{} }
