package daemon

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
	"vpnd/internal/config"
	"vpnd/ppp"
	"vpnd/testenv"
)

// scrape reads the metrics from the management socket.
func scrape(ctx context.Context, socket string) (string, error) {
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://vpnd/metrics", nil)
	if err != nil {
		return "", err
	}
	response, err := c.Do(request)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(response.Body)
	return string(text), errors.Join(err, response.Body.Close())
}

// The metrics count accepted and refused dial-ins, and contain no user's name.
func TestMetrics(t *testing.T) {
	inside(t, func(lab *testenv.Lab, cfg config.Config) error {
		addUser(t, cfg, "alice")
		dialer := newDialer(t)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		dial := func(user string) (*testenv.Client, error) {
			c := new(testenv.Client)
			return c, testenv.InNamespace(lab.Namespace, func() error {
				return c.Dial(ctx, dialer, netip.MustParseAddrPort("127.0.2.1:1723"), ppp.Config{User: user, Password: "geheim", Auth: []ppp.Method{ppp.PAP}})
			})
		}
		look := func() {
			defer stop()
			c, err := dial("alice")
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := dial("mallory"); err == nil {
				t.Error("mallory is let in")
			}
			wanted := []string{
				`vpnd_logins_total{cause="unknown_user",result="refused",type="PPTP"} 1`,
				`vpnd_ready 1`, `vpnd_connections{encryption="none",type="PPTP"} 1`, `vpnd_logins_total{cause="",result="accepted",type="PPTP"} 1`,
				`vpnd_login_verify_seconds_count 2`,
				`vpnd_pool_addresses{pool="(default)"} 241`, `vpnd_pool_addresses_used{pool="(default)"} 1`, `vpnd_clock_state{state="no servers configured"} 1`,
				`vpnd_dropped_packets_total{part="PPTP",reason="malformed"} 0`, `vpnd_l2tp_tunnels{state="half-open"} 0`,
				`vpnd_unauthenticated{of="tunnels",type="L2TP"} 0`, `vpnd_unauthenticated{of="calls",type="PPTP"} 0`, `vpnd_panics_total 0`,
			}
			var text string // a refusal is reported first, and then counted
			for deadline := time.Now().Add(30 * time.Second); len(wanted) > 0; {
				if text, err = scrape(ctx, cfg.Management.Socket); err != nil || time.Now().After(deadline) {
					t.Errorf("%v: want %q in\n%s", err, wanted, text)
					return
				}
				wanted = slices.DeleteFunc(wanted, func(want string) bool { return strings.Contains(text, "\n"+want+"\n") })
			}
			for _, name := range []string{"alice", "mallory", "127.0.2.9"} {
				if strings.Contains(text, name) {
					t.Errorf("the metrics have %q", name)
				}
			}
			c.Hangup()
		}
		return Run(ctx, cfg, Options{Log: new(lockedLog), Ready: func() { go look() }})
	})
}
