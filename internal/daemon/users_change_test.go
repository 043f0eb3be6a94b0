package daemon

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"
	"vpnd/internal/config"
	"vpnd/internal/state"
	"vpnd/internal/state/sqlite"
	"vpnd/mgmt/access"
	"vpnd/ppp"
	"vpnd/testenv"
	"vpnd/usermgmt"
)

// bySocket is an HTTP client of the management socket.
func bySocket(cfg config.Config) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", cfg.Management.Socket)
	}}}
}

// byPages is an HTTP client of the pages in a namespace, where anna has logged in.
func byPages(lab *testenv.Lab, base string) (*http.Client, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	c := &http.Client{
		Jar: jar,
		Transport: &http.Transport{
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
			DialContext: func(ctx context.Context, network, address string) (c net.Conn, err error) {
				err = testenv.InNamespace(lab.Namespace, func() (err error) {
					c, err = new(net.Dialer).DialContext(ctx, network, address)
					return err
				})
				return c, err
			},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, send(c, http.MethodPost, base+"/login", "application/x-www-form-urlencoded", url.Values{"name": {"anna"}, "password": {"a long password"}}.Encode())
}

// send makes a request that must succeed.
func send(c *http.Client, method, url, kind, body string) error {
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", kind)
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("%s %s: %s", method, url, resp.Status)
	}
	return nil
}

// A connection ends as soon as the API or a page has disabled its user, although the daemon does
// not check the user table. An earlier change by another process then counts too.
func TestChangeOfUserCountsAtOnce(t *testing.T) {
	inside(t, func(lab *testenv.Lab, cfg config.Config) error {
		free, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		cfg.Management.Listen = free.Addr().String()
		_ = free.Close()
		f := newField(t, lab, cfg)
		f.watch = time.Hour
		store, err := sqlite.Open(t.Context(), cfg.StateDir, state.Options{})
		if err != nil {
			return err
		}
		defer func() { _ = store.Close() }()
		gate := access.New(access.Config{Store: store})
		if err := gate.Add(t.Context(), "anna", "a long password", access.Administrator); err != nil {
			return err
		}
		base := "https://" + cfg.Management.Listen
		disable := map[string]func() error{
			"API": func() error {
				return send(bySocket(cfg), http.MethodPatch, "http://vpnd/api/v1/users/alice", "application/json", `{"enabled": false}`)
			},
			"page": func() error {
				pages, err := byPages(lab, base)
				if err != nil {
					return err
				}
				return send(pages, http.MethodPost, base+"/users", "application/x-www-form-urlencoded", "id=alice&do=disable")
			},
			"another process, before a reload": func() error {
				err := update(t.Context(), cfg, func(p *usermgmt.Profile) { p.Enabled = false })
				f.reload <- struct{}{}
				return err
			},
			"API, after another process": func() error {
				return errors.Join(
					update(t.Context(), cfg, func(p *usermgmt.Profile) { p.Enabled = false }),
					send(bySocket(cfg), http.MethodPatch, "http://vpnd/api/v1/users/alice", "application/json", `{"comment": "x"}`),
				)
			},
		}
		return f.run(func(ctx context.Context) error {
			for by, disable := range disable {
				c, err := f.dial(ctx, "PPTP", ppp.PAP)
				if err != nil {
					return fmt.Errorf("before a change by %s: %w", by, err)
				}
				if err := disable(); err != nil {
					t.Errorf("a change by %s: %v", by, err)
				}
				select {
				case <-c.Closed():
				case <-ctx.Done():
					t.Errorf("after a change by %s the connection goes on", by)
					return nil
				}
				if err := update(ctx, cfg, func(p *usermgmt.Profile) { p.Enabled = true }); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// A user whom another process has just enabled stays connected when the daemon checks the
// connections against accounts that it read earlier.
func TestReviseKnowsNewerUsers(t *testing.T) {
	inside(t, func(lab *testenv.Lab, cfg config.Config) error {
		f := newField(t, lab, cfg)
		f.watch = time.Hour
		if err := update(t.Context(), cfg, func(p *usermgmt.Profile) { p.Enabled = false }); err != nil {
			return err
		}
		return f.run(func(ctx context.Context) error {
			if err := update(ctx, cfg, func(p *usermgmt.Profile) { p.Enabled = true }); err != nil {
				return err
			}
			c, err := f.dial(ctx, "PPTP", ppp.PAP)
			if err != nil {
				return err
			}
			// A new WINS server makes the daemon apply the accounts without reading them.
			if err := send(bySocket(cfg), http.MethodPatch, "http://vpnd/api/v1/pools", "application/json", `{"wins": ["10.0.0.1"]}`); err != nil {
				return err
			}
			f.pass(c)
			return nil
		})
	})
}
