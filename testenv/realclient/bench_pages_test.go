package realclient

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"vpnd/ppp"
	"vpnd/testenv"
	"vpnd/testenv/browser"
)

// pages is the address of the pages in the namespace of the daemon.
const pages = "127.0.0.1:8443"

// watcher is a person with an open page: an HTTPS client with a token.
type watcher struct {
	http.Client
	token string
}

func newWatcher(lab *testenv.Lab, token string) *watcher {
	w := &watcher{token: token}
	w.Transport = &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		DialContext: func(context.Context, string, string) (conn net.Conn, err error) {
			err = testenv.InNamespace(lab.Namespace, func() error {
				conn, err = net.Dial("tcp4", pages)
				return err
			})
			return conn, err
		},
	}
	return w
}

// get reads an answer to its end and gives its length.
func (w *watcher) get(ctx context.Context, path string) (int64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+pages+path, nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+w.token)
	resp, err := w.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	return io.Copy(io.Discard, resp.Body)
}

// BenchmarkManage measures Connection Management at 10,000 connections: the answers, and the
// processor time of the daemon while nobody looks and while ten people have the page open. An open
// page gets the events, and reads its rows every ten seconds.
func BenchmarkManage(b *testing.B) {
	lab, server, _ := dialled(b, "L2TP", ppp.MPPEOff, 10_000)
	token := regexp.MustCompile(`\S{40,}`).FindString(server.VPND("admin", "token", "add", "bench"))
	if token == "" {
		b.Fatal("no token")
	}
	w := newWatcher(lab, token)
	for name, path := range map[string]string{
		"API/50": "/api/v1/connections?limit=50", "API/10000": "/api/v1/connections?limit=10000",
		"page": "/", "rows": "/?fragment=live", "metrics": "/metrics",
	} {
		b.Run(name, func(b *testing.B) {
			var n int64
			for b.Loop() {
				var err error
				if n, err = w.get(b.Context(), path); err != nil || n < 1000 {
					b.Fatal(n, err)
				}
			}
			b.ReportMetric(float64(n), "octets")
		})
	}
	for _, watchers := range []int{0, 10} {
		b.Run(map[int]string{0: "nobody", 10: "ten"}[watchers], func(b *testing.B) {
			const watched = 20 * time.Second
			ctx, stop := context.WithTimeout(context.Background(), watched)
			defer stop()
			var wg sync.WaitGroup
			before := cpu(b, server.PID())
			for range watchers {
				wg.Go(func() { _, _ = newWatcher(lab, token).get(ctx, "/api/v1/events") })
				wg.Go(func() {
					rows := newWatcher(lab, token)
					for ctx.Err() == nil {
						_, _ = rows.get(ctx, "/?fragment=live")
						select {
						case <-time.After(10 * time.Second):
						case <-ctx.Done():
						}
					}
				})
			}
			<-ctx.Done()
			wg.Wait()
			b.ReportMetric(float64((cpu(b, server.PID())-before).Milliseconds())/watched.Seconds(), "server-ms/s")
		})
	}
	b.Run("paint", func(b *testing.B) {
		link := regexp.MustCompile(`/setup\?link=[\w-]+`).FindString(server.VPND("admin", "link"))
		v := browser.New(b, lab, "https://"+pages)
		v.Open(link)
		v.Fill(map[string]string{"name": administrator, "password": adminPassword, "again": adminPassword})
		v.Press("Set up")
		v.Await("h1", "Log in")
		v.Fill(map[string]string{"name": administrator, "password": adminPassword})
		v.Press("Log in")
		v.Await("h1", "Connection Management")
		v.Open("/")
		const first = `performance.getEntriesByName("first-contentful-paint")[0]`
		v.AwaitTrue(first)
		ms, err := strconv.ParseFloat(v.Value(`String(`+first+`.startTime)`), 64)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(ms, "ms-to-first-paint")
	})
	if log := server.Log(); strings.Contains(log, "level=ERROR") {
		b.Errorf("%.2000s", log)
	}
}
