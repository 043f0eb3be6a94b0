// Package client is a client of the API of package mgmt.
package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"
	"vpnd/mgmt"
)

const (
	timeout = 30 * time.Second
	// maxAnswer is the longest answer in bytes: 10,000 connections take 5 MiB.
	maxAnswer = 64 << 20
)

// ErrNotRunning means that no daemon listens on the socket.
var ErrNotRunning = errors.New("the daemon is not running")

// ProblemError is an answer that reports an error (RFC 9457).
type ProblemError struct {
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Errors []struct {
		Location string `json:"location"`
		Message  string `json:"message"`
	} `json:"errors"`
}

// Error gives the fault, and that of each field.
func (p *ProblemError) Error() string {
	text := p.Detail
	for _, e := range p.Errors {
		text += fmt.Sprintf("\n%s: %s", strings.TrimPrefix(e.Location, "body."), e.Message)
	}
	return text
}

// Client asks one daemon. It is safe for concurrent use.
type Client struct {
	http   http.Client
	base   string // URL up to /api/v1
	socket string
	token  string
}

// New makes a client of the daemon that listens on a Unix socket.
func New(socket string) *Client {
	c := &Client{socket: socket, base: "http://vpnd"}
	c.http.Transport = &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}
	return c
}

// do sends a request and gives the answer's body, which the caller closes.
func (c *Client) do(ctx context.Context, method, path string, in any) (io.ReadCloser, error) {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+"/api/v1"+path, body)
	if err != nil {
		return nil, err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED) && c.socket == "":
		return nil, fmt.Errorf("%w: nothing listens on %s (management.listen)", ErrNotRunning, c.base)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil, fmt.Errorf("%w: nothing listens on %s (management.socket)", ErrNotRunning, c.socket)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%s: only root and the daemon's own user may manage the daemon: %w", c.socket, fs.ErrPermission)
	case err != nil:
		return nil, err
	case resp.StatusCode < http.StatusBadRequest:
		return resp.Body, nil
	}
	defer func() { _ = resp.Body.Close() }()
	p := &ProblemError{Status: resp.StatusCode, Detail: resp.Status}
	_ = json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(p) // without a problem document the status says enough
	return nil, p
}

// ask sends a request and reads the answer into out, if that is not nil.
func (c *Client) ask(ctx context.Context, method, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	body, err := c.do(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	if out == nil {
		return nil
	}
	return json.NewDecoder(io.LimitReader(body, maxAnswer)).Decode(out)
}

// answer sends a request and reads the daemon's answer.
func answer[T any](ctx context.Context, c *Client, method, path string, in any) (T, error) {
	var out T
	err := c.ask(ctx, method, path, in, &out)
	return out, err
}

// Connections lists the open connections, the oldest first.
func (c *Client) Connections(ctx context.Context) ([]mgmt.Connection, error) {
	return answer[[]mgmt.Connection](ctx, c, http.MethodGet, "/connections?limit=10000", nil)
}

// Drop hangs up the connection with the id.
func (c *Client) Drop(ctx context.Context, id, reason string) error {
	path := "/connections/" + url.PathEscape(id)
	if reason != "" {
		path += "?reason=" + url.QueryEscape(reason)
	}
	return c.ask(ctx, http.MethodDelete, path, nil, nil)
}

// Status gives the state of the daemon and its machine.
func (c *Client) Status(ctx context.Context) (mgmt.Status, error) {
	return answer[mgmt.Status](ctx, c, http.MethodGet, "/status", nil)
}

// HasUser reports whether a user has the name.
func (c *Client) HasUser(ctx context.Context, name string) (bool, error) {
	err := c.ask(ctx, http.MethodGet, "/users/"+url.PathEscape(name), nil, nil)
	if p := (*ProblemError)(nil); errors.As(err, &p) && p.Status == http.StatusNotFound {
		return false, nil
	}
	return err == nil, err
}

// Events calls f with each event as it happens, until ctx is done, f gives an error, or the daemon
// ends.
func (c *Client) Events(ctx context.Context, f func(mgmt.Event) error) error {
	body, err := c.do(ctx, http.MethodGet, "/events", nil)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	lines := bufio.NewScanner(body)
	kind := ""
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch {
		case name == "event":
			kind = value
		case name == "data" && kind == "event":
			var e mgmt.Event
			if err := json.Unmarshal([]byte(value), &e); err != nil && ctx.Err() == nil {
				return err
			} else if err != nil {
				return nil //nolint:nilerr // the caller has ended it in the middle of a line
			}
			if err := f(e); err != nil {
				return err
			}
		case name == "":
			kind = ""
		}
	}
	if ctx.Err() != nil {
		return nil //nolint:nilerr // the caller has ended it
	}
	return errors.Join(errors.New("the daemon has ended"), lines.Err())
}
