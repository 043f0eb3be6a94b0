package daemon

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"time"
	"vpnd/internal/config"
	"vpnd/internal/fault"
)

const (
	maxWeb         = 512     // connections at once
	maxWebOfSource = 64      // of them from one address, or IPv6 /64
	maxWebBody     = 1 << 20 // bytes of a request; the API takes less
)

// patience is how long a client of HTTPS may take.
type patience struct {
	header time.Duration // to send the head of a request, and for the handshake before it
	read   time.Duration // to send a whole request
	write  time.Duration // to take an answer; events have their own
	idle   time.Duration // between two requests
}

var webPatience = patience{header: headerTime, read: 30 * time.Second, write: time.Minute, idle: idleTime}

// httpsServer is HTTPS, for those who manage the daemon.
type httpsServer struct {
	server *http.Server
	cert   *certificate
	own    bool           // the certificate is of the configuration
	listen netip.AddrPort // of the configuration
	at     netip.AddrPort // listened on now; zero: nowhere
	l      net.Listener
	failed string // the last error of listening that was logged
}

// newWeb makes HTTPS that does not listen yet; nil: it is off.
func (d *daemon) newWeb(handler http.Handler) (*httpsServer, error) {
	m := d.cfg.Management
	if m.Listen == "" {
		return nil, nil
	}
	listen, err := netip.ParseAddrPort(m.Listen)
	if err != nil {
		return nil, err // config has checked it
	}
	w := &httpsServer{listen: listen, own: m.Certificate != ""}
	if w.cert, err = d.webCertificate(listen); err != nil {
		return nil, fmt.Errorf("certificate for management.listen: %w", err)
	}
	w.server = newWebServer(handler, w.cert, webPatience, d.log)
	return w, nil
}

// webCertificate is the certificate of the configuration, or one of our own. The latter also serves while the
// former cannot be used, as after a renewal that was cut short: it keeps nobody from dialling in.
func (d *daemon) webCertificate(listen netip.AddrPort) (*certificate, error) {
	m := d.cfg.Management
	if m.Certificate != "" {
		c, err := openCertificate(m.Certificate, m.Key, d.log, time.Now)
		if err == nil {
			return c, nil
		}
		d.log.Error("management.certificate, management.key: a self-signed certificate is served until the files are correct", "error", err)
	}
	cert, key, err := selfSigned(d.cfg.StateDir, namesOf(listen), time.Now())
	if err != nil {
		return nil, err
	}
	c, err := openCertificate(cert, key, d.log, time.Now)
	if err == nil && m.Certificate != "" {
		c.watch(m.Certificate, m.Key)
	}
	return c, err
}

// newWebServer makes a server of TLS 1.2 and later. It speaks HTTP/1.1 alone: an HTTP/2 stream that has a deadline for each write, as
// events have, ends with the first pause.
func newWebServer(handler http.Handler, cert *certificate, p patience, log *slog.Logger) *http.Server {
	s := &http.Server{
		Handler: http.MaxBytesHandler(handler, maxWebBody), TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: cert.get},
		ReadHeaderTimeout: p.header, ReadTimeout: p.read, WriteTimeout: p.write, IdleTimeout: p.idle, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug), Protocols: new(http.Protocols),
	}
	s.Protocols.SetHTTP1(true)
	return s
}

// manageByWeb listens on management.listen for the API and the pages, and says how to get in when nobody can yet.
func (d *daemon) manageByWeb(ctx context.Context, pages http.Handler) error {
	mux := http.NewServeMux()
	for _, path := range []string{"/api/", "/metrics", "/healthz", "/readyz"} {
		mux.Handle(path, d.api)
	}
	mux.Handle("/", pages)
	var err error
	if d.https, err = d.newWeb(d.gate.Guard(mux)); err != nil {
		d.log.Error("HTTPS for management is off until the daemon is started again", "error", err)
	}
	if d.https == nil {
		return nil
	}
	d.later(func() { _ = d.https.server.Close() })
	anybody, err := d.gate.Any(ctx)
	if err != nil {
		return err
	}
	if err := d.listenWeb(listenAt(d.https.listen, anybody)); err != nil {
		return err
	}
	if anybody {
		return nil
	}
	link, err := d.gate.FirstLink(ctx)
	if err != nil {
		return err
	}
	d.log.Warn("there is no administrator: open the set-up link on this machine, or run 'vpnd admin add NAME'", "link", SetUpURL(d.cfg, anybody, link))
	return nil
}

// listenAt is where to listen: not beyond loopback while there is no administrator.
func listenAt(listen netip.AddrPort, anybody bool) netip.AddrPort {
	if anybody || listen.Addr().IsLoopback() {
		return listen
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), listen.Port())
}

// SetUpURL is the whole of a set-up link, by its secret part. Anybody says whether there is an administrator.
func SetUpURL(cfg config.Config, anybody bool, link string) string {
	listen, err := netip.ParseAddrPort(cfg.Management.Listen)
	if err != nil {
		listen = netip.MustParseAddrPort("127.0.0.1:8443")
	}
	at := listenAt(listen, anybody)
	host := at.Addr().String()
	if at.Addr().IsUnspecified() {
		if host, err = os.Hostname(); err != nil {
			host = "localhost"
		}
	}
	return "https://" + net.JoinHostPort(host, strconv.Itoa(int(at.Port()))) + "/setup?link=" + link
}

// listenWeb listens on at, and nowhere else any more. Requests under way go on.
func (d *daemon) listenWeb(at netip.AddrPort) error {
	w := d.https
	if w.l != nil {
		_ = w.l.Close()
		w.l, w.at = nil, netip.AddrPort{}
	}
	l, err := listenTCP(at)
	if err != nil {
		return fmt.Errorf("management.listen: %w", err)
	}
	l = &bounded{Listener: l, by: map[netip.Prefix]int{}}
	w.l, w.at = l, at
	d.wg.Go(func() {
		if err := w.server.ServeTLS(l, "", ""); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			d.log.Error("management by HTTPS", "error", err)
		}
	})
	attrs := []any{"address", at, "fingerprint", fingerprint(w.cert.leaf())}
	if at != w.listen {
		d.log.Warn("HTTPS for management, on loopback alone: management.listen is beyond, and there is no administrator", append(attrs, "listen", w.listen)...)
		return nil
	}
	d.log.Info("HTTPS for management", attrs...)
	return nil
}

// listenTCP listens on an address of one family: on 0.0.0.0 not by IPv6, too.
func listenTCP(at netip.AddrPort) (net.Listener, error) {
	network := "tcp6"
	if at.Addr().Is4() {
		network = "tcp4"
	}
	l, err := net.Listen(network, at.String())
	if err != nil {
		return nil, fault.Listening("TCP", at, "management.listen", "stop the other program there, or set `management.listen` to another port", err)
	}
	return l, nil
}

// watchWeb listens as it should be, now that there may be an administrator, or none any more.
func (d *daemon) watchWeb(ctx context.Context) {
	if d.https == nil {
		return
	}
	anybody, err := d.gate.Any(ctx)
	if err != nil {
		return // watchUsers says so
	}
	at := listenAt(d.https.listen, anybody)
	if at == d.https.at {
		return
	}
	err = d.listenWeb(at)
	switch {
	case err == nil:
		d.https.failed = ""
	case err.Error() != d.https.failed:
		d.https.failed = err.Error()
		d.log.Error("HTTPS for management does not listen; it is tried again", "error", err)
	}
}

// renewCertificate makes a self-signed certificate again before it ends.
func (d *daemon) renewCertificate() {
	if d.https == nil || d.https.own {
		return
	}
	_, _, err := selfSigned(d.cfg.StateDir, namesOf(d.https.listen), time.Now())
	d.warnIf("renewing the certificate of management.listen", err)
}

// bounded takes no more than maxWeb connections, and of one source no more than maxWebOfSource, so that it cannot
// keep the others out. What is over is closed at once.
type bounded struct {
	net.Listener
	mu    sync.Mutex
	total int
	by    map[netip.Prefix]int
}

// Accept implements net.Listener.
func (l *bounded) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		source := sourceOf(c.RemoteAddr())
		if !l.enter(source) {
			_ = c.Close()
			continue
		}
		return &visitor{Conn: c, leave: sync.OnceFunc(func() { l.leave(source) })}, nil
	}
}

func (l *bounded) enter(source netip.Prefix) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.total >= maxWeb || l.by[source] >= maxWebOfSource {
		return false
	}
	l.total++
	l.by[source]++
	return true
}

func (l *bounded) leave(source netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total--
	if l.by[source]--; l.by[source] == 0 {
		delete(l.by, source)
	}
}

// visitor is a connection that gives its place back.
type visitor struct {
	net.Conn
	leave func()
}

// Close implements net.Conn.
func (v *visitor) Close() error {
	v.leave()
	return v.Conn.Close()
}

// sourceOf is what counts as one source: an IPv4 address, or an IPv6 /64.
func sourceOf(a net.Addr) netip.Prefix {
	at, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Prefix{}
	}
	addr, bits := at.Addr().Unmap().WithZone(""), 32
	if addr.Is6() {
		bits = 64
	}
	p, _ := addr.Prefix(bits) // it has so many
	return p
}
