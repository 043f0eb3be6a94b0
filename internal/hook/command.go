package hook

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	maxOutput = 1024 // bytes of a command's output that are logged
	maxValue  = 256  // bytes of a variable
	// pipeTime is how long a command's children may keep its output open after it has ended.
	pipeTime = time.Second
	path     = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

// command runs a program in a process group of its own, which it kills at the time-out. It gives
// the beginning of the program's output.
func (r *Runner) command(command, env []string) (string, error) {
	ctx, cancel := context.WithTimeout(r.ctx, r.cfg.Timeout)
	defer cancel()
	var output beginning
	cmd := exec.CommandContext(ctx, command[0], command[1:]...) //nolint:gosec // the administrator names the command
	cmd.Dir, cmd.Env = "/", env
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = pipeTime
	err := cmd.Run()
	switch {
	case r.ctx.Err() != nil:
		err = errors.New("cut short: the server ends")
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		err = fmt.Errorf("killed after %v", r.cfg.Timeout)
	// The program has succeeded, and left something in the background.
	case errors.Is(err, exec.ErrWaitDelay):
		err = nil
	}
	return clean(strings.TrimSpace(output.String()), maxOutput), err
}

// beginning keeps the beginning of the text that is written to it.
type beginning struct{ strings.Builder }

// Write implements io.Writer. It takes everything.
func (b *beginning) Write(p []byte) (int, error) {
	b.Builder.Write(p[:min(len(p), maxOutput-b.Len())])
	return len(p), nil
}

// environment is the environment of a command. It uses the names of pppd where pppd has one.
func environment(k kind, f Facts) []string {
	env := []string{path, "HOOK=" + names[k]}
	known := func(name, value string) { // from the user table, which has checked it
		if value != "" {
			env = append(env, name+"="+value)
		}
	}
	set := func(name, value string) { known(name, clean(value, maxValue)) }
	addr := func(name string, a netip.Addr) {
		if a.IsValid() {
			set(name, a.String())
		}
	}
	known("PEERNAME", f.User)
	set("IFNAME", f.Interface)
	addr("IPLOCAL", f.Local)
	addr("IPREMOTE", f.Peer)
	for i, a := range f.DNS[:min(len(f.DNS), 2)] {
		addr("DNS"+strconv.Itoa(i+1), a)
	}
	set("SESSION", f.Session)
	set("TYPE", f.Type)
	set("AUTH", f.Auth)
	set("ENCRYPTION", f.Encryption)
	known("GROUP", f.Group)
	addr("REMOTE", f.Remote)
	if k == down {
		set("CONNECT_TIME", strconv.FormatInt(int64(f.Connected/time.Second), 10))
		set("BYTES_SENT", strconv.FormatUint(f.Tx, 10))
		set("BYTES_RCVD", strconv.FormatUint(f.Rx, 10))
		set("CAUSE", string(f.Reason.Code))
		set("REASON", f.Reason.String())
	}
	return env
}

// clean makes a text that a peer may have influenced printable ASCII, of limited length.
func clean(text string, limit int) string {
	quoted := strconv.QuoteToASCII(text[:min(len(text), limit)])
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}
