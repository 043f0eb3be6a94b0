// Package https serves management by HTTPS: the listener, its limits and its certificate. Until
// there is an administrator it listens only on loopback.
package https

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
	"vpnd/internal/fault"
)

// Limits of each client, also on the management socket.
const (
	HeaderTime = 10 * time.Second // to send the head of a request
	IdleTime   = 2 * time.Minute  // between two requests
	MaxHeader  = 16 << 10         // bytes
)

const (
	maxConnections = 512     // at once
	maxOfSource    = 64      // of them from one address, or IPv6 /64
	maxBody        = 1 << 20 // bytes of a request; the API takes less
)

// patience is how long a client may take.
type patience struct {
	header time.Duration // to send the head of a request, and for the handshake before it
	read   time.Duration // to send a whole request
	write  time.Duration // to take an answer; events have their own
	idle   time.Duration // between two requests
}

var usual = patience{header: HeaderTime, read: 30 * time.Second, write: time.Minute, idle: IdleTime}

// Administrators says who may log in.
type Administrators interface {
	// Any reports whether there is an administrator.
	Any(ctx context.Context) (bool, error)
	// FirstLink makes the secret part of the set-up link for the first administrator.
	FirstLink(ctx context.Context) (string, error)
}

// Config is the configuration of a Server.
type Config struct {
	Listen           netip.AddrPort // management.listen
	Certificate, Key string         // paths of files; "": a self-signed certificate
	StateDir         string         // holds the self-signed certificate
	Handler          http.Handler
	Administrators   Administrators
	Logger           *slog.Logger
}

// Server serves HTTPS.
type Server struct {
	cfg     Config
	server  *http.Server
	cert    *certificate
	at      netip.AddrPort // current address; zero: the server does not listen
	l       net.Listener
	failed  string // last logged error of listening
	serving sync.WaitGroup
}

// New makes a Server that does not listen yet.
func New(cfg Config) (*Server, error) {
	cert, err := chooseCertificate(cfg)
	if err != nil {
		return nil, fmt.Errorf("certificate for management.listen: %w", err)
	}
	return &Server{cfg: cfg, cert: cert, server: newServer(cfg.Handler, cert, usual, cfg.Logger)}, nil
}

// chooseCertificate gives the configured certificate, or one of our own. The latter also serves
// while the former cannot be used, for example after an interrupted renewal, because a bad
// certificate must not keep users from dialling in.
func chooseCertificate(cfg Config) (*certificate, error) {
	if cfg.Certificate != "" {
		c, err := openCertificate(cfg.Certificate, cfg.Key, cfg.Logger, time.Now)
		if err == nil {
			return c, nil
		}
		cfg.Logger.Error("management.certificate, management.key: vpnd uses a self-signed certificate until the files are correct", "error", err)
	}
	cert, key, err := selfSigned(cfg.StateDir, namesOf(cfg.Listen), time.Now())
	if err != nil {
		return nil, err
	}
	c, err := openCertificate(cert, key, cfg.Logger, time.Now)
	if err == nil && cfg.Certificate != "" {
		c.watch(cfg.Certificate, cfg.Key)
	}
	return c, err
}

// newServer makes a server for TLS 1.2 and later. It speaks only HTTP/1.1: an HTTP/2 stream with a
// deadline for each write, as events have, ends with the first pause.
func newServer(handler http.Handler, cert *certificate, p patience, log *slog.Logger) *http.Server {
	s := &http.Server{
		Handler: http.MaxBytesHandler(handler, maxBody), TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: cert.get},
		ReadHeaderTimeout: p.header, ReadTimeout: p.read, WriteTimeout: p.write, IdleTimeout: p.idle, MaxHeaderBytes: MaxHeader,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug), Protocols: new(http.Protocols),
	}
	s.Protocols.SetHTTP1(true)
	return s
}

// Close ends all connections.
func (s *Server) Close() {
	_ = s.server.Close()
	s.serving.Wait()
}

// Addr is the address that the server listens on.
func (s *Server) Addr() net.Addr { return s.l.Addr() }

// Fingerprint is the SHA-256 of the certificate, as browsers show it.
func (s *Server) Fingerprint() string { return fingerprint(s.cert.leaf()) }

// Listen begins to listen. It logs a set-up link while there is no administrator.
func (s *Server) Listen(ctx context.Context) error {
	anybody, err := s.cfg.Administrators.Any(ctx)
	if err != nil {
		return err
	}
	if err := s.listen(ListenAt(s.cfg.Listen, anybody)); err != nil || anybody {
		return err
	}
	link, err := s.cfg.Administrators.FirstLink(ctx)
	if err != nil {
		return err
	}
	s.cfg.Logger.Warn("there is no administrator: open the set-up link on this machine, or run 'vpnd admin add NAME'", "link", SetUpURL(s.cfg.Listen.String(), anybody, link))
	return nil
}

// ListenAt is the address to listen on: it stays on loopback while there is no administrator.
func ListenAt(listen netip.AddrPort, anybody bool) netip.AddrPort {
	if anybody || listen.Addr().IsLoopback() {
		return listen
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), listen.Port())
}

// SetUpURL is the complete set-up link for its secret part. Anybody says whether there is an
// administrator.
func SetUpURL(managementListen string, anybody bool, link string) string {
	listen, err := netip.ParseAddrPort(managementListen)
	if err != nil {
		listen = netip.MustParseAddrPort("127.0.0.1:8443")
	}
	at := ListenAt(listen, anybody)
	host := at.Addr().String()
	if at.Addr().IsUnspecified() {
		if host, err = os.Hostname(); err != nil {
			host = "localhost"
		}
	}
	return "https://" + net.JoinHostPort(host, strconv.Itoa(int(at.Port()))) + "/setup?link=" + link
}

// listen listens on at, and stops listening elsewhere. Requests under way go on.
func (s *Server) listen(at netip.AddrPort) error {
	if s.l != nil {
		_ = s.l.Close()
		s.l, s.at = nil, netip.AddrPort{}
	}
	tcp, err := ListenTCP(at)
	if err != nil {
		return fmt.Errorf("management.listen: %w", err)
	}
	l := &bounded{Listener: tcp, by: map[netip.Prefix]int{}}
	s.l, s.at = l, at
	s.serving.Go(func() {
		if err := s.server.ServeTLS(l, "", ""); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			s.cfg.Logger.Error("management by HTTPS", "error", err)
		}
	})
	attrs := []any{"address", at, "fingerprint", s.Fingerprint()}
	if at != s.cfg.Listen {
		s.cfg.Logger.Warn("HTTPS for management only on loopback instead of management.listen: there is no administrator yet", append(attrs, "listen", s.cfg.Listen)...)
		return nil
	}
	s.cfg.Logger.Info("HTTPS for management", attrs...)
	return nil
}

// ListenTCP listens on an address of one family: on 0.0.0.0 it does not also listen by IPv6.
func ListenTCP(at netip.AddrPort) (net.Listener, error) {
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

// Watch listens on the right address again after the first administrator has come or the last one
// has gone.
func (s *Server) Watch(ctx context.Context) {
	anybody, err := s.cfg.Administrators.Any(ctx)
	if err != nil {
		return // the next check of the user table reports it
	}
	at := ListenAt(s.cfg.Listen, anybody)
	if at == s.at {
		return
	}
	err = s.listen(at)
	switch {
	case err == nil:
		s.failed = ""
	case err.Error() != s.failed:
		s.failed = err.Error()
		s.cfg.Logger.Error("HTTPS for management cannot listen; vpnd tries again", "error", err)
	}
}

// RenewCertificate replaces a self-signed certificate before it ends.
func (s *Server) RenewCertificate() error {
	if s.cfg.Certificate != "" {
		return nil
	}
	_, _, err := selfSigned(s.cfg.StateDir, namesOf(s.cfg.Listen), time.Now())
	return err
}
