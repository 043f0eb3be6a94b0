package timesync

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/beevik/ntp"
)

const (
	// answerTime is how long the servers have, name and answer together.
	answerTime = 3 * time.Second
	// era is half of the span of an NTP timestamp: beyond it, it is another time (RFC 5905 section 6).
	era = 68 * 365 * 24 * time.Hour
)

// query asks one server, a name or address with or without a port, and looks whether its answer can be one.
func query(ctx context.Context, server string) Answer {
	r, err := ntp.QueryWithOptions(server, ntp.QueryOptions{
		Timeout: answerTime,
		Dialer: func(_, remote string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, "udp", remote)
			if err == nil {
				context.AfterFunc(ctx, func() { _ = conn.Close() })
			}
			return conn, err
		},
	})
	if err != nil {
		return Answer{Server: server, Err: reason(ctx, err)}
	}
	return examine(server, r)
}

// examine takes an answer, or says what is wrong with it.
func examine(server string, r *ntp.Response) Answer {
	a := Answer{Server: server, Offset: r.ClockOffset, RoundTrip: r.RTT, Stratum: int(r.Stratum), kiss: r.KissCode}
	t := r.Timestamps
	there, back, busy := t.ServerRecv.Sub(t.ClientXmit), t.ClientRecv.Sub(t.ServerXmit), t.ServerXmit.Sub(t.ServerRecv)
	switch err := r.Validate(); {
	case errors.Is(err, ntp.ErrKissOfDeath):
		a.Err = fmt.Errorf("it declines to be asked (%q)", r.KissCode)
	case errors.Is(err, ntp.ErrInvalidLeapSecond), errors.Is(err, ntp.ErrInvalidStratum):
		a.Err = errors.New("it has no time itself: it is not synchronized")
	case err != nil:
		a.Err = err
	case busy < 0 || r.RTT > answerTime || busy > t.ClientRecv.Sub(t.ClientXmit)+serverError:
		a.Err = errors.New("its answer contradicts itself: it took longer than it was waited for")
	case beyond(there, era) || beyond(back, era):
		a.Err = errors.New("its time is over 68 years from the host's")
	}
	if a.Err != nil {
		return Answer{Server: server, Stratum: a.Stratum, Err: a.Err, kiss: a.kiss}
	}
	return a
}

// reason is err without what differs from one attempt to the next.
func reason(ctx context.Context, err error) error {
	var name *net.DNSError
	switch {
	case errors.As(err, &name):
		return fmt.Errorf("name %s: %s", name.Name, name.Err)
	case ctx.Err() != nil, errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("no answer within %v", answerTime)
	case errors.Is(err, syscall.ECONNREFUSED):
		return errors.New("no time service there (port unreachable)")
	}
	if op := (*net.OpError)(nil); errors.As(err, &op) {
		return op.Err
	}
	return errors.New(strings.TrimSpace(err.Error()))
}
