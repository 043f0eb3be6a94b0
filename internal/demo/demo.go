// Package demo shows a server and its clients on one machine. It uses network namespaces without a
// name and a folder of its own, so it leaves nothing behind, even after a kill.
package demo

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"
	"vpnd/auth"
	"vpnd/auth/motp"
	"vpnd/internal/dial"
	"vpnd/internal/netlab"
	"vpnd/internal/state"
	"vpnd/internal/state/sqlite"
	"vpnd/usermgmt"
)

const (
	pin       = "1234"
	innerAddr = "10.99.0.1"
	stepTime  = 20 * time.Second // limit of a step
)

// user is a user who dials in.
type user struct {
	name, kind    string
	server, outer netip.Prefix // the two ends of the wire
	token         motp.Token
	code          string
	ns            *netlab.Namespace
	dialIn        *process
	up            dial.Event
}

// demo is the running demonstration.
type demo struct {
	out    io.Writer
	binary string
	dir    string
	config string
	server *netlab.Namespace
	daemon *process
	users  []*user
}

// Run shows the demonstration on out, and takes it down again, also when ctx is done. Binary is the
// vpnd command.
func Run(ctx context.Context, binary string, out io.Writer) error {
	began := time.Now()
	d := &demo{out: out, binary: binary, users: []*user{
		{name: "anna", kind: "pptp", server: netip.MustParsePrefix("192.0.2.1/30"), outer: netip.MustParsePrefix("192.0.2.2/30")},
		{name: "ben", kind: "l2tp", server: netip.MustParsePrefix("192.0.2.5/30"), outer: netip.MustParsePrefix("192.0.2.6/30")},
	}}
	dir, release, err := makeFolder(os.TempDir())
	if err != nil {
		return err
	}
	defer release()
	d.dir, d.config = dir, filepath.Join(dir, "vpnd.yaml")
	defer d.takeDown()
	for _, step := range []func(context.Context) error{d.build, d.addUsers, d.serve, d.dial, d.table, d.transfer, d.replay, d.hangUp} {
		if err := step(ctx); err != nil {
			if ctx.Err() != nil {
				return errors.New("interrupted; nothing is left behind")
			}
			return err
		}
	}
	d.say("Done in %.0f seconds; nothing is left behind.", time.Since(began).Seconds())
	return nil
}

func (d *demo) say(format string, args ...any) { _, _ = fmt.Fprintf(d.out, format+"\n", args...) }

// build makes the namespaces and the wires.
func (d *demo) build(context.Context) error {
	d.say("Three network namespaces: a server, and two clients on wires of their own.")
	var err error
	if d.server, err = netlab.New(); err != nil {
		return err
	}
	for i, u := range d.users {
		if u.ns, err = netlab.New(); err != nil {
			return err
		}
		if err := d.server.Wire(u.ns, fmt.Sprintf("wire%d", i), u.server, u.outer); err != nil {
			return err
		}
	}
	return nil
}

// addUsers gives each user a token.
func (d *demo) addUsers(ctx context.Context) error {
	text := fmt.Sprintf("state_dir: %s\nmanagement: {listen: \"\", socket: \"\"}\nlog: {format: json}\n", filepath.Join(d.dir, "state"))
	if err := os.WriteFile(d.config, []byte(text), 0o600); err != nil {
		return err
	}
	store, err := sqlite.Open(ctx, filepath.Join(d.dir, "state"), state.Options{})
	if err != nil {
		return err
	}
	for _, u := range d.users {
		secret, err := motp.NewSecret(rand.Reader)
		if err == nil {
			u.token = motp.Token{Secret: secret, PIN: pin}
			err = store.Add(ctx, usermgmt.Profile{
				Name: u.name, Enabled: true, MOTPSecret: secret, MOTPPIN: pin,
				Services: []auth.Service{auth.Service(u.kind)}, IPsec: usermgmt.IPsecNone,
			})
		}
		if err != nil {
			return errors.Join(err, store.Close())
		}
		d.say("User %s may dial in by %s, with the one-time passwords of a token.", u.name, strings.ToUpper(u.kind))
	}
	return store.Close()
}

// serve starts the daemon.
func (d *demo) serve(ctx context.Context) error {
	d.say("Starting vpnd serve.")
	var err error
	if d.daemon, err = startProcess(d.server, "", d.binary, "serve", "--config", d.config); err != nil {
		return err
	}
	return d.daemon.wait(ctx, "the server does not become ready", func(p *process) bool { return strings.Contains(p.stdout(), "ready\n") })
}

// dial lets everybody dial in.
func (d *demo) dial(ctx context.Context) error {
	for _, u := range d.users {
		u.code = u.token.Code(motp.Step(time.Now()))
		d.say("%s dials in by %s with the one-time password %s.", u.name, strings.ToUpper(u.kind), u.code)
		var err error
		if u.dialIn, err = d.start(u, "vpndial0"); err != nil {
			return err
		}
	}
	for _, u := range d.users {
		err := u.dialIn.wait(ctx, u.name+" does not get in", func(p *process) bool {
			for line := range strings.Lines(p.stdout()) {
				var e dial.Event
				if json.Unmarshal([]byte(line), &e) == nil && e.Kind == dial.Connected {
					u.up = e
					return true
				}
			}
			return false
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) start(u *user, name string) (*process, error) {
	return startProcess(u.ns, u.code+"\n", d.binary, "dial", u.server.Addr().String(), "--type", u.kind, "--user", u.name,
		"--password-file", "-", "--auth", "mschapv2", "--mppe", "--interface", name, "--json")
}

// table shows the connected users, from the daemon's log.
func (d *demo) table(context.Context) error {
	d.say("\nThe server's connections:")
	w := tabwriter.NewWriter(d.out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "USER\tTYPE\tREMOTE IP\tVIRTUAL IP\tAUTHENTICATION\tENCRYPTION")
	n := 0
	for line := range strings.Lines(d.daemon.stderr()) {
		var r struct{ Msg, User, Type, Peer, Address, Auth, Encryption string }
		if json.Unmarshal([]byte(line), &r) == nil && r.Msg == "connected" {
			n++
			_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", r.User, r.Type, r.Peer, r.Address, r.Auth, r.Encryption)
		}
	}
	_ = w.Flush()
	if n != len(d.users) {
		return fmt.Errorf("the server has %d connections: %s", n, d.daemon.stderr())
	}
	d.say("")
	return nil
}

// replay dials in with a used password.
func (d *demo) replay(ctx context.Context) error {
	u := d.users[0]
	d.say("%s's password %s is tried once more, as somebody would who has overheard it.", u.name, u.code)
	p, err := d.start(u, "vpndial1") // in addition to the first, which is still there
	if err != nil {
		return err
	}
	defer p.stop()
	if err := p.wait(ctx, "the second dial-in does not end", (*process).over); err != nil {
		return err
	}
	if code := p.code(); code != 5 {
		return fmt.Errorf("the second dial-in ends with status %d: %s", code, p.stderr())
	}
	d.say("Refused: %s", strings.TrimPrefix(strings.TrimSpace(p.stderr()), "vpnd: "))
	for line := range strings.Lines(d.daemon.stderr()) {
		var r struct{ Msg, Reason string }
		if json.Unmarshal([]byte(line), &r) == nil && r.Msg == "refused" {
			d.say("The server's log has the reason: %s", r.Reason)
		}
	}
	return nil
}

// hangUp ends the calls and the daemon properly.
func (d *demo) hangUp(ctx context.Context) error {
	d.say("Everybody hangs up, and the server ends.")
	for _, u := range d.users {
		u.dialIn.signal(syscall.SIGINT)
	}
	for _, u := range d.users {
		if err := u.dialIn.wait(ctx, u.name+" does not hang up", (*process).over); err != nil {
			return err
		}
	}
	d.daemon.signal(syscall.SIGTERM)
	return d.daemon.wait(ctx, "the server does not end", (*process).over)
}

// takeDown ends everything that is still there.
func (d *demo) takeDown() {
	for _, u := range d.users {
		u.dialIn.stop()
		if u.ns != nil {
			u.ns.Close()
		}
	}
	d.daemon.stop()
	if d.server != nil {
		d.server.Close()
	}
}

// process is a vpnd command that runs.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{}

	mu       sync.Mutex
	out, err strings.Builder
}

func startProcess(ns *netlab.Namespace, stdin string, name string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command(name, args...), ended: make(chan struct{})} //nolint:gosec,noctx // our own command, ended by stop
	p.cmd.Stdin = strings.NewReader(stdin)
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := ns.Start(p.cmd, p.ended); err != nil {
		return nil, fmt.Errorf("starting %s %s: %w", name, args[0], err)
	}
	var reading sync.WaitGroup
	reading.Go(func() { p.keep(&p.out, stdout) })
	reading.Go(func() { p.keep(&p.err, stderr) })
	go func() {
		reading.Wait()
		_ = p.cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

func (p *process) keep(text *strings.Builder, r io.Reader) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		p.mu.Lock()
		text.WriteString(lines.Text() + "\n")
		p.mu.Unlock()
	}
}

func (p *process) stdout() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

func (p *process) stderr() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err.String()
}

func (p *process) over() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

func (p *process) code() int { return p.cmd.ProcessState.ExitCode() }

func (p *process) signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

// stop ends the process and waits for it. It kills the process if that does not end by itself.
func (p *process) stop() {
	if p == nil || p.over() {
		return
	}
	p.signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(5 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}

// wait waits until done returns true. If that takes too long or the process ends before, the error
// is otherwise with the output of the process.
func (p *process) wait(ctx context.Context, otherwise string, done func(*process) bool) error {
	limit := time.After(stepTime)
	for {
		ended := p.over()
		if done(p) {
			return nil
		}
		if ended {
			return fmt.Errorf("%s: %s", otherwise, strings.TrimSpace(p.stderr()))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-limit:
			return fmt.Errorf("%s within %v: %s", otherwise, stepTime, strings.TrimSpace(p.stderr()))
		case <-time.After(20 * time.Millisecond):
		}
	}
}
