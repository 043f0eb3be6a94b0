package l2tp

import (
	"crypto/rand"
	"io"
	"time"
)

// Config is the configuration of a Tunnel.
type Config struct {
	Host             string        // our name; "vpnd"
	Secret           string        // of the tunnel; empty: peers need no secret
	Hide             bool          // with Secret: hide session identifiers (RFC 2661 section 4.3)
	Sequencing       bool          // calls that we dial ask for numbers in data messages
	HandshakeTimeout time.Duration // for the SCCCN; 20 s
	HelloInterval    time.Duration // silence before a Hello; 60 s
	IdleTimeout      time.Duration // of a tunnel without a session; 60 s
	MaxSessions      int           // 1024
	Random           io.Reader     // crypto/rand
}

func (c Config) withDefaults() Config {
	if c.Host == "" {
		c.Host = "vpnd"
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{{&c.HandshakeTimeout, 20 * time.Second}, {&c.HelloInterval, time.Minute}, {&c.IdleTimeout, time.Minute}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if c.MaxSessions == 0 {
		c.MaxSessions = 1024
	}
	if c.Random == nil {
		c.Random = rand.Reader
	}
	return c
}
