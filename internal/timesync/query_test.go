package timesync

import (
	"encoding/binary"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/beevik/ntp"
)

// ntpServer answers one question at a time with the result of reply, which may be nothing.
func ntpServer(t *testing.T, reply func(question []byte) []byte) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 512)
		for {
			n, from, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			if out := reply(b[:n]); out != nil {
				_, _ = conn.WriteTo(out, from)
			}
		}
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-done
	})
	return conn.LocalAddr().String()
}

// stamp writes a time in the form of RFC 5905 section 6.
func stamp(b []byte, at time.Time) {
	binary.BigEndian.PutUint32(b, uint32(at.Unix()+2_208_988_800))
	binary.BigEndian.PutUint32(b[4:], uint32(uint64(at.Nanosecond())<<32/1e9))
}

// proper is the answer of a server of stratum 2 whose clock is ahead by off.
func proper(question []byte, off time.Duration) []byte {
	b := make([]byte, 48)
	now := time.Now().Add(off)
	b[0], b[1], b[2], b[3] = 4<<3|4, 2, 6, 0xe8
	copy(b[24:], question[40:48])
	stamp(b[16:], now.Add(-time.Minute))
	stamp(b[32:], now)
	stamp(b[40:], now)
	return b
}

// TestQuery asks servers that answer correctly, wrongly and not at all.
func TestQuery(t *testing.T) {
	change := func(f func(b []byte)) func([]byte) []byte {
		return func(q []byte) []byte {
			b := proper(q, 0)
			f(b)
			return b
		}
	}
	for _, c := range []struct {
		name  string
		reply func(q []byte) []byte
		wrong string // in the error
		kiss  string
		off   time.Duration
	}{
		{"right", func(q []byte) []byte { return proper(q, 0) }, "", "", 0},
		{"100 s ahead", func(q []byte) []byte { return proper(q, 100*time.Second) }, "", "", 100 * time.Second},
		{"a day behind", func(q []byte) []byte { return proper(q, -24*time.Hour) }, "", "", -24 * time.Hour},
		{"empty", func([]byte) []byte { return []byte{} }, "invalid", "", 0},
		{"short", func(q []byte) []byte { return proper(q, 0)[:47] }, "invalid", "", 0},
		{"of another question", change(func(b []byte) { b[24]++ }), "didn't match", "", 0},
		{"a question", change(func(b []byte) { b[0] = 4<<3 | 3 }), "invalid mode", "", 0},
		{"no time", change(func(b []byte) { clear(b[40:48]) }), "invalid", "", 0},
		{"sent before it came", change(func(b []byte) { stamp(b[40:], time.Now().Add(-time.Hour)) }), "backwards", "", 0},
		{"an hour's work", change(func(b []byte) { stamp(b[40:], time.Now().Add(time.Hour)) }), "contradicts itself", "", 0},
		{"not synchronized", change(func(b []byte) { b[0] |= 3 << 6 }), "not synchronized", "", 0},
		{"stratum 16", change(func(b []byte) { b[1] = 16 }), "not synchronized", "", 0},
		{"stratum 15", change(func(b []byte) { b[1], b[9] = 15, 12 }), "", "", 0},
		{"far from any clock", change(func(b []byte) { b[9] = 16 }), "it may itself be off by 16s", "", 0},
		{"a far way to any clock", change(func(b []byte) { b[5], b[9] = 16, 9 }), "it may itself be off by 17s", "", 0},
		{"no reference", change(func(b []byte) { clear(b[16:24]) }), "", "", 0},
		{"set a year ago", change(func(b []byte) { stamp(b[16:], time.Now().AddDate(-1, 0, 0)) }), "", "", 0},
		{"set this moment", change(func(b []byte) { copy(b[16:24], b[40:48]) }), "", "", 0},
		{"set a second ahead", change(func(b []byte) { stamp(b[16:], time.Now().Add(time.Second)) }), "its reference time is later than its time", "", 0},
		{"kiss of death", change(func(b []byte) { b[1] = 0; copy(b[12:], "RATE") }), `refuses to answer ("RATE")`, "RATE", 0},
		{"noise", func([]byte) []byte { return []byte(strings.Repeat("\xff", 300)) }, "", "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := ntpServer(t, c.reply)
			a := query(t.Context(), server)
			if a.Server != server || a.Address.String() != server || a.kiss != c.kiss || a.answered != (a.Err != nil) {
				t.Errorf("%+v", a)
			}
			switch {
			case c.wrong == "" && c.name != "noise":
				if a.Err != nil || beyond(a.Offset-c.off, time.Second) || a.Stratum < 2 {
					t.Errorf("%+v", a)
				}
			case a.Err == nil || !strings.Contains(a.Err.Error(), c.wrong) || a.Offset != 0 || a.RoundTrip != 0:
				t.Errorf("%+v", a)
			}
		})
	}
	t.Run("nobody there", func(t *testing.T) {
		if a := query(t.Context(), "127.0.0.1:1"); a.Err == nil || a.Err.Error() != "no time service there (port unreachable)" || a.answered {
			t.Errorf("%+v", a)
		}
	})
	t.Run("no such name", func(t *testing.T) {
		if a := query(t.Context(), "ntp.invalid"); a.Err == nil || !strings.HasPrefix(a.Err.Error(), "name ntp.invalid: ") || a.answered {
			t.Errorf("%+v", a)
		}
	})
}

// An ambiguous NTP timestamp is not accepted, nor the offset that remains when the sum of the two
// ways overflows.
func TestExamineEra(t *testing.T) {
	for _, years := range []int{-150, -70, 70, 150} {
		now := time.Now()
		server := now.AddDate(years, 0, 0)
		r := &ntp.Response{Version: 4, Stratum: 2, Time: server, ReferenceTime: server, Timestamps: ntp.ProtocolTimestamps{
			ClientXmit: now, ServerRecv: server, ServerXmit: server, ClientRecv: now,
		}}
		if a := examine("a", r); a.Err == nil || !strings.Contains(a.Err.Error(), "68 years") {
			t.Errorf("%d years: %+v", years, a)
		}
	}
}

// A server with two names has one vote, and a server whose answer cannot be used still counts as
// one that answers.
func TestOneVote(t *testing.T) {
	t.Parallel()
	liar := ntpServer(t, func(q []byte) []byte { return proper(q, time.Hour) })
	right := ntpServer(t, func(q []byte) []byte { return proper(q, 0) })
	other := ntpServer(t, func(q []byte) []byte { return proper(q, 0) })
	bad := ntpServer(t, func(q []byte) []byte { return append(proper(q, 0)[:1], make([]byte, 47)...) })
	_, port, _ := net.SplitHostPort(liar)
	names := []string{liar, "[::ffff:127.0.0.1]:" + port}
	for _, c := range []struct {
		servers []string
		state   Status
		same    int
	}{
		{append(slices.Clone(names), right), Disagree, 1},
		{append(slices.Clone(names), right, other), Right, 1},
		{[]string{right, bad}, Right, 0},
		{[]string{bad, "127.0.0.1:1"}, Unusable, 0},
	} {
		clock := New(Config{Servers: c.servers, Interval: time.Hour, MaxOffset: time.Second})
		_, _ = clock.Inquire(t.Context())
		same := 0
		v := clock.View()
		for i, s := range v.Servers {
			if s.SameAs != "" {
				same++
				if s.SameAs != liar || s.Address != v.Servers[0].Address || c.state == Right && !s.Outvoted {
					t.Errorf("%d: %+v", i, s)
				}
			}
		}
		if v.State != c.state || same != c.same {
			t.Errorf("%q: %+v", c.servers, v)
		}
	}
}

// A server that never answers does not delay the answers of others.
func TestSilentServer(t *testing.T) {
	t.Parallel()
	silent := ntpServer(t, func([]byte) []byte { return nil })
	right := ntpServer(t, func(q []byte) []byte { return proper(q, 0) })
	c := New(Config{Servers: []string{silent, right}, Interval: time.Hour, MaxOffset: time.Second})
	s, err := c.Inquire(t.Context())
	if err != nil || s.Status != Right || s.Server != right || s.Servers[0].Err == nil || s.Servers[0].Err.Error() != "no answer within 3s" {
		t.Errorf("%+v, %v", s, err)
	}
}
