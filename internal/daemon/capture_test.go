package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"vpnd/internal/config"
	"vpnd/internal/link"
	"vpnd/internal/state"
	"vpnd/internal/state/sqlite"
	"vpnd/mgmt"
	mgmtclient "vpnd/mgmt/client"
	"vpnd/ppp"
	"vpnd/ppp/wire"
	"vpnd/pptp/client"
	"vpnd/testenv"

	"github.com/google/gopacket/pcapgo"
)

// An administrator captures a user before he dials in, over the API. The file is complete and
// without the password, and the history has an entry.
func TestCapture(t *testing.T) {
	inside(t, func(lab *testenv.Lab, cfg config.Config) error {
		cfg.PPP.Authentication = []string{"pap"}
		cfg.PPP.MPPE = "off"
		addUser(t, cfg, "alice")
		dialer := newDialer(t)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		api := mgmtclient.New(cfg.Management.Socket)
		var files [2]bytes.Buffer
		capture := func() {
			defer stop()
			for i, query := range []url.Values{{"user": {"Alice"}, "frames": {"all"}}, {"peer": {"127.0.2.9"}}} {
				during, end := context.WithCancel(ctx)
				_, err := api.Capture(during, query, &tail{w: &files[i], want: "TermReq", found: end}, func() {
					if err := testenv.InNamespace(lab.Namespace, func() error { return dialAndSend(ctx, dialer) }); err != nil {
						t.Error(err)
						end()
					}
				})
				if err != nil {
					t.Error(err)
				}
				end()
			}
			for query, status := range map[string]int{"": 422, "user=a&peer=192.0.2.1": 422, "peer=x": 422, "user=a&duration=2h": 422, "connection=nothing": 404} {
				values, _ := url.ParseQuery(query)
				problem := (*mgmtclient.ProblemError)(nil)
				if _, err := api.Capture(ctx, values, io.Discard, func() {}); !errors.As(err, &problem) || problem.Status != status {
					t.Errorf("%s: %v", query, err)
				}
			}
		}
		if err := Run(ctx, cfg, Options{Log: new(lockedLog), Ready: func() { go capture() }}); err != nil {
			return err
		}
		for i, frames := range []string{
			"received LCP ConfReq, sent LCP ConfAck, received PAP AuthReq, sent PAP AuthAck, received IPCP ConfReq, sent IPCP ConfAck, received protocol 0x0021, received LCP TermReq",
			"received LCP ConfReq, sent LCP ConfAck, received PAP AuthReq, sent PAP AuthAck, received IPCP ConfReq, sent IPCP ConfAck, received LCP TermReq",
		} {
			file := files[i].Bytes()
			if bytes.Contains(file, []byte("geheim")) || !bytes.Contains(file, []byte("alice")) {
				t.Errorf("the password is in the file, or the name is not: %q", file)
			}
			text, want := said(t, file), strings.Split(frames, ", ")
			n := 0
			for _, line := range text {
				if n < len(want) && strings.HasPrefix(line, want[n]) {
					n++
				}
			}
			if n < len(want) || strings.Contains(strings.Join(text, "\n"), "protocol 0x0021") != (i == 0) {
				t.Errorf("want %s, in this order:\n%s", frames, strings.Join(text, "\n"))
			}
		}
		return captured(t, cfg)
	})
}

// dialAndSend dials in, sends a packet, and hangs up.
func dialAndSend(ctx context.Context, dialer *client.Dialer) error {
	var c testenv.Client
	err := c.Dial(ctx, dialer, netip.MustParseAddrPort("127.0.2.1:1723"), ppp.Config{User: "alice", Password: "geheim", Auth: []ppp.Method{ppp.PAP}})
	if err != nil {
		return err
	}
	network, _ := c.Network()
	packet := append([]byte{0x45, 0, 0, 20, 0, 0, 0, 0, 64, 1, 0, 0}, network.Local.AsSlice()...)
	var out link.Batch
	c.SendIP(&out, append(packet, 192, 0, 2, 1))
	c.Hangup()
	return nil
}

// captured wants the two captures in the history.
func captured(t *testing.T, cfg config.Config) error {
	t.Helper()
	store, err := sqlite.Open(t.Context(), cfg.StateDir, state.Options{})
	if err != nil {
		return err
	}
	entries, err := store.History(t.Context(), state.HistoryQuery{})
	var lines []string
	for _, e := range entries {
		if e.Event == state.EventCaptured {
			lines = append(lines, fmt.Sprint(e.User, mgmt.EventOf(e).RemoteIP, " ", e.Reason, " by ", e.By))
		}
	}
	if got := strings.Join(lines, "; "); got != "127.0.2.9 control frames by root; Alice all frames by root" {
		t.Error(got)
	}
	return errors.Join(err, store.Close())
}

// tail passes a file on, and calls found when it has a frame of the kind.
type tail struct {
	w     io.Writer
	want  string
	found func()
}

// Write takes one block of a file.
func (l *tail) Write(p []byte) (int, error) {
	const head = 28 // of a packet's block
	if len(p) > head+1 && p[0] == 6 && strings.Contains(wire.Format(p[head+1:]), l.want) {
		defer l.found()
	}
	return l.w.Write(p)
}

// said gives the frames of a file in readable form.
func said(t *testing.T, file []byte) (lines []string) {
	t.Helper()
	r, err := pcapgo.NewNgReader(bytes.NewReader(file), pcapgo.NgReaderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for {
		data, _, err := r.ReadPacketData()
		if errors.Is(err, io.EOF) {
			return lines
		}
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, []string{"received ", "sent "}[data[0]]+wire.Format(data[1:]))
	}
}
