package timesync

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/beevik/ntp"
)

const (
	// maxStratum is the highest stratum of a server that has the time (RFC 5905 section 7.3).
	maxStratum = 15
	// answerTime is the time limit of the servers for name and answer together.
	answerTime = 3 * time.Second
	// era is half of the span of an NTP timestamp: a time further away is ambiguous (RFC 5905
	// section 6).
	era = 68 * 365 * 24 * time.Hour
	// maxDistance is how far a server's clock may be from the right time by its own account
	// (MAXDISP in RFC 5905 appendix A.5.1.1).
	maxDistance = 16 * time.Second
)

// noReference is how a reference timestamp of 0 reads: the server does not say when its clock was
// set.
var noReference = time.Date(2036, 2, 7, 6, 28, 16, 0, time.UTC)

// query asks one server, given as a name or address with or without a port, and checks whether its
// answer is plausible.
func query(ctx context.Context, server string) Answer {
	var address netip.AddrPort
	r, err := ntp.QueryWithOptions(server, ntp.QueryOptions{
		Timeout: answerTime,
		Dialer: func(_, remote string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, "udp", remote)
			if err == nil {
				to := conn.RemoteAddr().(*net.UDPAddr).AddrPort()
				address = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
				context.AfterFunc(ctx, func() { _ = conn.Close() })
			}
			return conn, err
		},
	})
	if err != nil {
		return Answer{Server: server, Address: address, Err: reason(ctx, err), answered: answered(err)}
	}
	a := examine(server, r)
	a.Address = address
	return a
}

// examine takes an answer, or reports its fault.
func examine(server string, r *ntp.Response) Answer {
	a := Answer{Server: server, Offset: r.ClockOffset, RoundTrip: r.RTT, Stratum: int(r.Stratum), kiss: r.KissCode}
	t := r.Timestamps
	there, back, busy := t.ServerRecv.Sub(t.ClientXmit), t.ClientRecv.Sub(t.ServerXmit), t.ServerXmit.Sub(t.ServerRecv)
	// Do not use r.Validate: it also refuses a reference time that is 0 or some days old.
	switch distance := r.RootDelay/2 + r.RootDispersion; {
	case r.Stratum == 0:
		a.Err = fmt.Errorf("it refuses to answer (%q)", r.KissCode)
	case r.Leap == ntp.LeapNotInSync || r.Stratum > maxStratum:
		a.Err = errors.New("it is not synchronized itself")
	case distance >= maxDistance:
		a.Err = fmt.Errorf("it may itself be off by %v: that is too much", distance.Round(time.Millisecond))
	case r.ReferenceTime.After(r.Time) && !r.ReferenceTime.Equal(noReference):
		a.Err = errors.New("its answer contradicts itself: its reference time is later than its time")
	case busy < 0 || r.RTT > answerTime || busy > t.ClientRecv.Sub(t.ClientXmit)+serverError:
		a.Err = errors.New("its answer contradicts itself: it claims to have taken longer than the wait for it")
	case beyond(there, era) || beyond(back, era):
		a.Err = errors.New("its time differs from the host's by more than 68 years")
	}
	if a.Err != nil {
		return Answer{Server: server, Stratum: a.Stratum, Err: a.Err, answered: true, kiss: a.kiss}
	}
	return a
}

// answered reports whether an error is about a server's answer, and not about the way to it.
func answered(err error) bool {
	var way net.Error // net.DNSError and net.OpError implement it
	return !errors.As(err, &way) && !errors.Is(err, os.ErrDeadlineExceeded)
}

// reason is err without the parts that differ from one attempt to the next.
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
