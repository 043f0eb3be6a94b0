package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// transferTime is the duration of each direction of a transfer.
const transferTime = time.Second

// transfer moves data through each connection in both directions.
func (d *demo) transfer(ctx context.Context) error {
	var listener net.Listener
	err := d.server.Do(func() (err error) {
		var lc net.ListenConfig
		listener, err = lc.Listen(ctx, "tcp4", innerAddr+":0")
		return err
	})
	if err != nil {
		return fmt.Errorf("listening behind the server: %w", err)
	}
	defer func() { _ = listener.Close() }()
	for _, u := range d.users {
		var here net.Conn
		err := u.ns.Do(func() (err error) {
			var dialer net.Dialer
			here, err = dialer.DialContext(ctx, "tcp4", listener.Addr().String())
			return err
		})
		if err != nil {
			return fmt.Errorf("%s reaches nothing through the tunnel: %w", u.name, err)
		}
		there, err := listener.Accept()
		if err != nil {
			_ = here.Close()
			return err
		}
		up, errUp := pump(ctx, here, there)
		down, errDown := pump(ctx, there, here)
		_, _ = here.Close(), there.Close()
		if err := errors.Join(errUp, errDown); err != nil {
			return fmt.Errorf("%s's transfer: %w", u.name, err)
		}
		d.say("%s transfers through the %s connection: %.0f Mbit/s to the server, %.0f Mbit/s from it (%s).",
			u.name, strings.ToUpper(u.kind), up, down, u.up.Encryption)
	}
	return nil
}

// pump sends for a while and gives the rate of the received data in Mbit/s.
func pump(ctx context.Context, from, to net.Conn) (float64, error) {
	stop := context.AfterFunc(ctx, func() { _, _ = from.Close(), to.Close() })
	defer stop()
	began := time.Now()
	_ = from.SetWriteDeadline(began.Add(stepTime))
	_ = to.SetReadDeadline(began.Add(stepTime))
	sent := make(chan error, 1)
	go func() {
		block := make([]byte, 64<<10)
		for time.Since(began) < transferTime {
			if _, err := from.Write(block); err != nil {
				sent <- err
				return
			}
		}
		tcp, ok := from.(*net.TCPConn)
		if !ok {
			sent <- errors.New("no TCP connection")
			return
		}
		sent <- tcp.CloseWrite()
	}()
	n, err := io.Copy(io.Discard, to)
	return float64(n) * 8 / time.Since(began).Seconds() / 1e6, errors.Join(err, <-sent)
}
