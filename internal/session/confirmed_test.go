package session_test

import (
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"vpnd/internal/link"
	"vpnd/internal/pktbuf"
	"vpnd/internal/reason"
	"vpnd/internal/session"
	"vpnd/ppp"
	"vpnd/ppp/wire"
)

// line is the carrier's end of a call. It keeps the frames that it gets, with their times.
type line struct {
	info  link.Info
	begun time.Time

	mu   sync.Mutex
	sent []wire.Code
	at   []time.Duration
}

func (l *line) Send(b *pktbuf.Buf, _ *link.Batch) {
	_, info, _ := wire.ParseFrame(b.Bytes())
	p, _ := wire.ParsePacket(info)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent, l.at = append(l.sent, p.Code), append(l.at, time.Since(l.begun))
	b.Release()
}

// seen gives the frames so far, with their times.
func (l *line) seen() ([]wire.Code, []time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.sent), slices.Clone(l.at)
}

func (*line) Close(reason.Reason) {}
func (l *line) Info() link.Info   { return l.info }

// say sends a frame of the peer.
func say(to link.Sink, code wire.Code) {
	b := pktbuf.Get()
	b.Append(wire.Packet{Code: code, ID: 1}.Append(wire.AppendFrame(nil, wire.LCP)))
	to.Frame(b)
}

// The first request goes out with the peer's first frame, or 20 ms after the peer has confirmed the
// call, however late that is. If peers of the carrier never confirm a call, it goes out shortly
// after the answer to the call.
func TestBeginsWhenConfirmed(t *testing.T) {
	for name, c := range map[string]struct {
		confirms        bool
		confirmed, says time.Duration // 0: never
		begins          time.Duration
	}{
		"after 1 ms":                    {true, time.Millisecond, 0, 21 * time.Millisecond},
		"after 500 ms":                  {true, 500 * time.Millisecond, 0, 520 * time.Millisecond},
		"after 2 s":                     {true, 2 * time.Second, 0, 2020 * time.Millisecond},
		"the client is ready":           {true, 500 * time.Millisecond, 505 * time.Millisecond, 505 * time.Millisecond},
		"the client is late":            {true, 500 * time.Millisecond, 600 * time.Millisecond, 520 * time.Millisecond},
		"the ICCN comes late":           {true, 700 * time.Millisecond, 600 * time.Millisecond, 600 * time.Millisecond},
		"the ICCN never comes":          {true, 0, 900 * time.Millisecond, 900 * time.Millisecond},
		"nothing comes":                 {true, 0, 0, 10 * time.Second},
		"PPTP":                          {false, 0, 0, 300 * time.Millisecond},
		"PPTP, the peer is first":       {false, 0, 10 * time.Millisecond, 10 * time.Millisecond},
		"PPTP, the peer comes later on": {false, 0, time.Second, 300 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := session.NewManager(session.Config{PPP: ppp.Config{MRU: 1400}})
				l := &line{begun: time.Now(), info: link.Info{Remote: netip.MustParseAddrPort("203.0.113.1:1701"), Confirms: c.confirms}}
				sink, err := m.Accept(l)
				if err != nil {
					t.Fatal(err)
				}
				if c.confirmed > 0 {
					time.AfterFunc(c.confirmed, func() { link.Confirmed(sink) })
				}
				if c.says > 0 {
					time.AfterFunc(c.says, func() { say(sink, wire.ConfigureRequest) })
				}
				time.Sleep(c.begins)
				synctest.Wait()
				sent, at := l.seen()
				if len(at) == 0 || at[0] != c.begins || sent[0] != wire.ConfigureRequest {
					t.Fatalf("%v %v, want a request after %v", sent, at, c.begins)
				}
				if c.says == c.begins && (len(at) != 2 || sent[1] != wire.ConfigureAck) {
					t.Errorf("%v %v, want an Ack for the peer's first frame, and our request once", sent, at)
				}
				requests := 0
				time.Sleep(2 * time.Second) // before a time-out repeats it
				synctest.Wait()
				sent, at = l.seen()
				for _, code := range sent {
					if code == wire.ConfigureRequest {
						requests++
					}
				}
				if want := map[bool]int{true: 2, false: 1}[c.says > c.begins]; requests != want {
					t.Errorf("%d requests, want %d: %v %v", requests, want, sent, at)
				}
				sink.Down(reason.New(reason.Dropped, "the test is over"))
			})
		})
	}
}
