package realclient

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"vpnd/internal/netlab"
	"vpnd/internal/timesync"
	"vpnd/testenv"
)

// chrony is a chronyd on a host of a lab. It serves its own clock and does not set the machine's.
type chrony struct {
	t     *testing.T
	host  *testenv.Host
	dir   string
	cmd   *exec.Cmd
	ended chan struct{}
}

// newChrony starts a chronyd whose clock is ahead by off, in whole seconds.
func newChrony(t *testing.T, lab *testenv.Lab, off time.Duration) *chrony {
	t.Helper()
	c := &chrony{t: t, host: lab.Host(t), dir: filepath.Join(t.TempDir(), "chrony")}
	if err := os.Mkdir(c.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	conf := fmt.Sprintf("local stratum 8\nmanual\nallow\ncmdport 0\nuser root\nbindcmdaddress %s/socket\npidfile %s/pid\n", c.dir, c.dir)
	if err := os.WriteFile(filepath.Join(c.dir, "conf"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.stop)
	c.start(off)
	return c
}

// start runs chronyd and sets its clock, which takes whole seconds. It starts chronyd again until
// the clock is right within 0.2 s, because the machine may be busy.
func (c *chrony) start(off time.Duration) {
	c.t.Helper()
	var out string
	for range 20 {
		c.run()
		if off == 0 {
			return
		}
		now := time.Now()
		second := now.Truncate(time.Second).Add(time.Second)
		time.Sleep(second.Sub(now))
		out, _ = c.control("settime", second.Add(off).UTC().Format("2006-01-02 15:04:05"))
		var fast float64
		if _, after, ok := strings.Cut(out, "Clock was "); ok {
			if _, err := fmt.Sscan(after, &fast); err == nil && math.Abs(fast+off.Seconds()) < 0.2 {
				return
			}
		}
		c.stop()
	}
	c.t.Fatalf("chronyc: %s", out)
}

// run runs chronyd and waits until it takes commands.
func (c *chrony) run() {
	c.t.Helper()
	// -x: chronyd does not set the machine's clock. Its own clock is the machine's plus the offset
	// of settime.
	c.cmd = c.host.Command("chronyd", "-x", "-d", "-f", filepath.Join(c.dir, "conf"))
	c.ended = make(chan struct{})
	if err := netlab.Start(c.cmd, c.ended); err != nil {
		c.t.Fatalf("chronyd (Debian package chrony): %v", err)
	}
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if _, err := c.control("tracking"); err == nil {
			return
		}
	}
	c.t.Fatal("chronyd does not answer")
}

func (c *chrony) control(args ...string) (string, error) {
	out, err := c.host.Command("chronyc", append([]string{"-h", filepath.Join(c.dir, "socket")}, args...)...).CombinedOutput()
	return string(out), err
}

func (c *chrony) stop() {
	if c.cmd == nil {
		return
	}
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait()
	close(c.ended)
	c.cmd = nil
	_ = os.Remove(filepath.Join(c.dir, "pid"))
}

func timeConfig(servers ...*chrony) string {
	addresses := make([]string, len(servers))
	for i, s := range servers {
		addresses[i] = s.host.Address
	}
	return network + "time: {servers: [" + strings.Join(addresses, ", ") + "]}\n"
}

// inquire runs `vpnd time`.
func inquire(t *testing.T, s *testenv.Server) (view timesync.View, failed bool) {
	t.Helper()
	out, err := s.Try("time", "--json") // a failure is a second document, on standard error
	if jsonErr := json.NewDecoder(strings.NewReader(out)).Decode(&view); jsonErr != nil {
		t.Fatalf("%v in %s", jsonErr, out)
	}
	return view, err != nil
}

// `vpnd time` and `vpnd check` report the clock with three chronyds as time servers: all right, one
// 100 s off, dead ones, and all back.
func TestTimeServers(t *testing.T) {
	t.Parallel()
	lab := testenv.New(t)
	a, b, c := newChrony(t, lab, 0), newChrony(t, lab, 0), newChrony(t, lab, 0)
	s := lab.NewServer(t, timeConfig(a, b, c))
	restart := func(c *chrony, off time.Duration) {
		c.stop()
		c.start(off)
	}
	for _, step := range []struct {
		name   string
		do     func()
		state  timesync.Status
		off    float64 // seconds, within 2
		answer int
		vote   []bool // outvoted
		check  string
	}{
		{"right", func() {}, timesync.Right, 0, 3, []bool{false, false, false}, "ok    clock (off by "},
		{"one lies", func() { restart(b, 100*time.Second) }, timesync.Right, 0, 3, []bool{false, true, false}, "ok    clock (off by "},
		{"one lies, one is dead", func() { c.stop() }, timesync.Disagree, 0, 2, []bool{false, false, false}, "warn  clock (time.servers): the time servers disagree"},
		{"one is dead", func() { restart(b, 0) }, timesync.Right, 0, 2, []bool{false, false, false}, "ok    clock (off by "},
		{"two are dead", func() { b.stop() }, timesync.Right, 0, 1, []bool{false, false, false}, "ok    clock (off by "},
		{"all are dead", func() { a.stop() }, timesync.Silent, 0, 0, []bool{false, false, false}, "warn  clock (time.servers): no time server answers"},
		{"back, and all say that the host is off", func() {
			a.start(100 * time.Second)
			b.start(100 * time.Second)
			c.start(100 * time.Second)
		}, timesync.Off, 100, 3, []bool{false, false, false}, "warn  clock (time.servers): the host's clock is off by 1m"},
		{"right again", func() {
			restart(a, 0)
			restart(b, 0)
			restart(c, 0)
		}, timesync.Right, 0, 3, []bool{false, false, false}, "ok    clock (off by "},
	} {
		step.do()
		v, failed := inquire(t, s)
		wantFailed := step.state == timesync.Silent || step.state == timesync.Disagree
		if v.State != step.state || failed != wantFailed || v.Measured == wantFailed || v.Offset < step.off-2 || v.Offset > step.off+2 || len(v.Servers) != 3 {
			t.Errorf("%s: %+v, failed %v", step.name, v, failed)
			continue
		}
		answered := 0
		for i, server := range v.Servers {
			if server.Outvoted != step.vote[i] {
				t.Errorf("%s: %+v", step.name, server)
			}
			if server.Error == "" {
				answered++
			}
		}
		if answered != step.answer {
			t.Errorf("%s: %d answered: %+v", step.name, answered, v.Servers)
		}
		if out, _ := s.Try("check"); !strings.Contains(out, step.check) {
			t.Errorf("%s: no %q in\n%s", step.name, step.check, out)
		}
	}
}

// One-time passwords follow the time servers' clock, not the host's, which is ten minutes behind.
func TestTokensByCorrectedTime(t *testing.T) {
	t.Parallel()
	lab := testenv.New(t)
	const behind = 10*time.Minute + 5*time.Second
	server := lab.Serve(t, timeConfig(newChrony(t, lab, behind)))
	server.WaitLog("the host's clock is off", "level=WARN", "offset=10m", "max_offset=10s", "fix=")
	host := lab.Host(t)
	right, hosts := new(testenv.Clock), new(testenv.Clock)
	right.Move(behind)
	for _, kind := range []string{"pptp", "l2tp"} {
		user := server.AddUser(testenv.User{Name: "anna" + kind})
		late := user.Dial(host, kind, hosts)
		if code := late.Wait(); code != 5 {
			t.Errorf("a token that goes by the host's clock: status %d: %s", code, late.Said())
		}
		server.WaitLog("refused", "user="+user.Name, "cause=token_clock_off", "the token's clock is 10 minutes behind")
		d := user.Dial(host, kind, right)
		d.Connected()
		if code := d.Interrupt(); code != 0 {
			t.Errorf("status %d: %s", code, d.Said())
		}
	}
}

// A daemon whose time server is dead says so once and uses the host's clock. It finds the server
// when it is back.
func TestTimeServerComesBack(t *testing.T) {
	t.Parallel()
	lab := testenv.New(t)
	c := newChrony(t, lab, 0)
	c.stop()
	server := lab.Serve(t, timeConfig(c))
	server.WaitLog("the clock could not be measured", "no time server answers", `counts="the host's clock"`, "retry=16s")
	user := server.AddUser(testenv.User{Name: "anna"})
	d := user.Dial(lab.Host(t), "l2tp", nil)
	d.Connected()
	d.Interrupt()
	c.start(0)
	server.WaitLog("clock measured", "level=INFO", "server="+c.host.Address)
	if n := strings.Count(server.Log(), "could not be measured"); n != 1 {
		t.Errorf("said %d times:\n%s", n, server.Log())
	}
}

// The clock of a guest is set while the daemon runs there. The daemon notices the jump and measures
// the clock.
func TestClockIsSet(t *testing.T) {
	t.Parallel()
	lab := testenv.New(t)
	c := newChrony(t, lab, 0)
	g := lab.Guest(t)
	binary := testenv.Binary(t)
	until := func(words string) {
		t.Helper()
		script := fmt.Sprintf(`i=0; until grep -q "%s" /run/log; do i=$((i + 1)); [ $i -lt 300 ] || break; sleep 0.1; done; cat /run/log; grep -q "%s" /run/log`, words, words)
		if out, code := g.RunFor(2*time.Minute, script); code != 0 {
			t.Fatalf("no %q in:\n%s", words, out)
		}
	}
	g.Run(fmt.Sprintf(`modprobe -d /run/m tun; mkdir -p /dev/net; [ -e /dev/net/tun ] || mknod /dev/net/tun c 10 200
echo 'state_dir: /run/state
services: {pptp: false}
management: {listen: "", socket: ""}
time: {servers: [%s]}' > /run/vpnd.yaml
%s serve --config /run/vpnd.yaml > /run/out 2> /run/log & echo $! > /run/pid`, c.host.Address, binary))
	until("clock measured")
	g.Run("date -s '-100 seconds'")
	until(`the host's clock jumped.* by=-1m`)
	until(`the host's clock is off.* offset=1m`)
	out, _ := g.Run(binary + " time --config /run/vpnd.yaml 2>&1")
	if !strings.Contains(out, "the host's clock is behind") || !strings.Contains(out, "state:                off") {
		t.Errorf("%s", out)
	}
	if out, code := g.Run("kill $(cat /run/pid); wait $(cat /run/pid)"); code != 0 {
		t.Errorf("status %d: %s", code, out)
	}
}
