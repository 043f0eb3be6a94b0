package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"vpnd/internal/capture"
	"vpnd/internal/session"
	"vpnd/internal/state"
	"vpnd/mgmt"
)

// captures implements mgmt.Captures.
type captures struct{ d *daemon }

// Begin implements mgmt.Captures. It records in the history who captures whose frames.
func (c captures) Begin(ctx context.Context, of mgmt.CaptureOf) (mgmt.CaptureWriter, error) {
	rec := capture.New()
	stop, err := c.d.sessions.Capture(session.Capture{User: of.User, Connection: of.Connection, Peer: of.Peer, All: of.All, To: rec})
	switch {
	case errors.Is(err, session.ErrNoConnection):
		return nil, fmt.Errorf("%w: %w", mgmt.ErrNotFound, err)
	case errors.Is(err, session.ErrCaptures):
		return nil, fmt.Errorf("%w: %w", mgmt.ErrFull, err)
	case err != nil:
		return nil, err
	}
	e := state.Entry{Event: state.EventCaptured, User: of.User, Connection: of.Connection, Peer: of.Peer, Reason: "control frames", By: state.Actor(ctx)}
	about := "user " + of.User
	switch {
	case of.Connection != "":
		about = "connection " + of.Connection
		for _, open := range c.d.sessions.Connections() {
			if open.ID == of.Connection {
				e.User, e.Type, e.Peer = open.User, string(open.Type), open.Remote
			}
		}
	case of.Peer.IsValid():
		about = "peer " + of.Peer.String()
	}
	if of.All {
		e.Reason = "all frames"
	}
	c.d.recorder.add(e)
	c.d.log.Info("capture", "of", about, "frames", e.Reason, "by", e.By)
	return func(ctx context.Context, w io.Writer) error {
		defer stop()
		ctx, cancel := context.WithTimeout(ctx, of.Time)
		defer cancel()
		return rec.Write(ctx, w, about+", "+e.Reason, of.Size)
	}, nil
}
