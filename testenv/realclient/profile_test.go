package realclient

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
	"vpnd/internal/reason"
	"vpnd/internal/state"
	"vpnd/internal/state/sqlite"
	"vpnd/usermgmt"
)

// set changes fields of a user while the daemon runs. fields are names and values in turn.
func (s *site) set(user string, fields ...string) {
	s.t.Helper()
	store, err := sqlite.Open(s.t.Context(), s.server.StateDir(), state.Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	err = store.Update(s.t.Context(), user, func(p *usermgmt.Profile) error {
		for i := 0; i < len(fields); i += 2 {
			f, ok := usermgmt.FieldNamed(fields[i])
			if !ok {
				s.t.Fatalf("there is no field %s", fields[i])
			}
			if err := f.Set(p, fields[i+1]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// reload makes the daemon read another configuration.
func (s *site) reload(yaml string) {
	s.t.Helper()
	s.server.Forget()
	s.server.Configure(yaml)
	if err := syscall.Kill(s.server.PID(), syscall.SIGHUP); err != nil {
		s.t.Fatal(err)
	}
	s.server.WaitLog("msg=reloaded")
}

// ended waits until the server has hung up, and checks that the log and the client have the reason.
func (s *site) ended(user string, why reason.Reason) {
	s.t.Helper()
	s.server.WaitLog("disconnected", "user="+user, "cause="+string(why.Code))
	s.must("gone")
	if log := s.pppd(); !strings.Contains(log, "LCP terminated by peer ("+why.Peer()) {
		s.t.Errorf("pppd is not told %q:\n%s", why.Peer(), log)
	}
}

// keptOut dials in and expects a refusal with a code of RFC 2759, and a cause in the log.
func (s *site) keptOut(user, options, code string, cause reason.Code) {
	s.t.Helper()
	s.server.Forget()
	if log := s.refused(user, "geheim", only["MS-CHAPv2"]+" nomppe "+options); !strings.Contains(log, code) {
		s.t.Errorf("pppd does not say %s:\n%s", code, log)
	}
	s.server.WaitLog("refused", "user="+user, "cause="+string(cause))
}

// replies waits in the guest until the ping that writes /run/ping has n answers.
func replies(n int) string {
	return fmt.Sprintf("waited=0; while [ $(grep -c 'bytes from' /run/ping) -lt %d ] && [ $waited -lt 200 ]; do waited=$((waited + 1)); sleep 0.2; done; [ $waited -lt 200 ]", n)
}

// otherDay is a day of the week that is not today in any time zone.
func otherDay() string { return time.Now().UTC().AddDate(0, 0, 3).Format("Mon") }

// When the time of a user is up, the server hangs up and tells the client why. It refuses the next
// dial-in with the code for that.
func TestProfileTimes(t *testing.T) {
	s := newSite(t, "ppp: {echo_interval: 1s, echo_failures: 60}\n")
	t.Run("idle time-out", func(t *testing.T) {
		s.t = t
		s.dial("alice", "geheim", "nomppe debug lcp-echo-interval 2 lcp-echo-failure 60") // a second debug shows echoes
		s.must("ping -i 0.25 10.99.0.1 > /run/ping & echo $! > /run/ping.pid; " + replies(1))
		s.set("alice", "idle-timeout", "5s")
		s.must(replies(40) + " && kill $(cat /run/ping.pid)") // for ten seconds
		s.ended("alice", reason.New(reason.IdleTimeout))
		if log := s.pppd(); !strings.Contains(log, "rcvd [LCP EchoRep") || !strings.Contains(log, "sent [LCP EchoRep") {
			t.Errorf("nothing else has passed:\n%s", log)
		}
		s.set("alice", "idle-timeout", "0")
	})
	t.Run("session time", func(t *testing.T) {
		s.t = t
		s.server.Forget()
		s.set("alice", "session-time", "4s")
		s.dial("alice", "geheim", "nomppe")
		s.must("ping -i 0.2 -c 100 -W 1 10.99.0.1 > /run/ping & gone")
		s.ended("alice", reason.New(reason.SessionTime))
		s.set("alice", "session-time", "0")
	})
	t.Run("expiry", func(t *testing.T) {
		s.t = t
		s.server.Forget()
		s.dial("alice", "geheim", "nomppe")
		s.set("alice", "expires", time.Now().Add(4*time.Second).UTC().Format(time.RFC3339))
		s.ended("alice", reason.New(reason.AccountExpired))
		s.keptOut("alice", "", "E=647", reason.AccountExpired)
		s.set("alice", "expires", "")
	})
	t.Run("schedule", func(t *testing.T) {
		s.t = t
		s.server.Forget()
		s.dial("alice", "geheim", "nomppe")
		s.set("alice", "schedule", otherDay())
		s.ended("alice", reason.New(reason.OutsideSchedule))
		s.keptOut("alice", "", "E=646", reason.OutsideSchedule)
		s.set("alice", "schedule", "")
	})
	t.Run("quota", func(t *testing.T) {
		s.t = t
		s.server.Forget()
		s.set("alice", "quota", "1M")
		s.dial("alice", "geheim", "nomppe")
		s.must("ping -c 800 -i 0.002 -s 1300 -W 20 -q 10.99.0.1")
		s.ended("alice", reason.New(reason.QuotaUsedUp))
		s.keptOut("alice", "", "E=649", reason.QuotaUsedUp)
		s.set("alice", "quota", "100M")
		s.dial("alice", "geheim", "nomppe")
		s.hangup()
	})
}

// A user's profile limits the further connections, the remote node, the address and the types of
// dial-in.
func TestProfileAdmission(t *testing.T) {
	s := newSite(t, "")
	s.server.VPND("user", "add", "fritz", "--password", "geheim", "--address", "10.99.0.15")
	t.Run("replaces the oldest", func(t *testing.T) {
		s.t = t
		s.set("alice", "max-connections", "1")
		s.dial("alice", "geheim", "nomppe")
		s.must("unit=1; pptp alice geheim nomppe")
		s.server.WaitLog("disconnected", "user=alice", "cause=replaced")
		s.must("unit=0; gone; ping -c 1 -W 20 -I ppp1 10.99.0.1; unit=1; hangup; unit=0")
	})
	t.Run("is refused", func(t *testing.T) {
		s.t = t
		s.set("alice", "further", "refuse")
		s.dial("alice", "geheim", "nomppe")
		s.must("unit=1; ! pptp alice geheim nomppe && grep E=649 /run/pppd1; status=$?; unit=0; return $status")
		s.server.WaitLog("refused", "user=alice", "cause=connected_already")
		s.must("ping -c 1 -W 20 10.99.0.1")
		s.hangup()
	})
	t.Run("two are allowed", func(t *testing.T) {
		s.t = t
		s.set("alice", "max-connections", "2")
		s.dial("alice", "geheim", "nomppe")
		s.must("unit=1; pptp alice geheim nomppe && ping -c 1 -W 20 -I ppp0 10.99.0.1 && ping -c 1 -W 20 -I ppp1 10.99.0.1 && hangup; status=$?; unit=0; return $status")
		s.hangup()
	})
	t.Run("remote node", func(t *testing.T) {
		s.t = t
		s.set("alice", "remote-node", "192.0.2.99")
		s.keptOut("alice", "", "E=649", reason.OtherRemoteNode)
		s.set("alice", "remote-node", "192.0.2.0/24")
		s.server.Forget()
		s.dial("alice", "geheim", "nomppe")
		s.set("alice", "remote-node", "203.0.113.0/24")
		s.ended("alice", reason.New(reason.OtherRemoteNode))
		s.set("alice", "remote-node", "")
	})
	t.Run("fixed address", func(t *testing.T) {
		s.t = t
		for _, want := range []string{"10.99.0.15", "10.99.0.20"} {
			s.server.Forget()
			s.set("fritz", "address", want)
			if got := s.dial("fritz", "geheim", "nomppe"); got != want {
				t.Errorf("%s, want %s", got, want)
			}
			s.hangup()
		}
		s.set("fritz", "address", "10.97.0.1")
		s.keptOut("fritz", "", "E=649", reason.AddressOutside)
	})
	t.Run("types of dial-in", func(t *testing.T) {
		s.t = t
		s.server.Forget()
		s.dial("alice", "geheim", "nomppe")
		s.set("alice", "dial-in", "l2tp")
		s.ended("alice", reason.New(reason.TypeNotAllowed))
		s.keptOut("alice", "", "E=649", reason.TypeNotAllowed)
		s.dialL2TP("alice", "geheim", "nomppe")
		s.server.Forget()
		s.set("alice", "dial-in", "pptp")
		s.server.WaitLog("disconnected", "type=L2TP", "cause=type_not_allowed")
		s.must("l2tp_end")
		s.dial("alice", "geheim", "nomppe")
		s.hangup()
	})
}

// An IPsec policy of must keeps plain L2TP out. If all users have it, that happens before a client
// sends a password.
func TestProfileIPsec(t *testing.T) {
	s := newSite(t, "")
	s.dialL2TP("alice", "geheim", "nomppe")
	s.set("alice", "ipsec", "nice")
	s.must("ping -c 1 -W 20 10.99.0.1")
	s.server.Forget()
	s.set("alice", "ipsec", "must")
	required := reason.New(reason.IPsecRequired)
	s.server.WaitLog("disconnected", "type=L2TP", "cause="+string(required.Code))
	s.must("l2tp_end; grep 'LCP terminated by peer (" + required.Peer() + "' /run/pppd0")
	s.must("! l2tp alice geheim " + only["MS-CHAPv2"] + " nomppe && grep E=649 /run/pppd0")
	s.server.WaitLog("refused", "type=L2TP", "user=alice", "cause="+string(required.Code))
	s.dial("alice", "geheim", "nomppe")
	s.hangup()

	s.set("otto", "ipsec", "must")
	s.server.Forget()
	s.reload(network)
	capture := s.lab.Capture(t, s.guest.Interface())
	out, code := s.guest.Run("l2tp alice geheim " + only["PAP"] + " nomppe; status=$?; cat /run/xl2tpd.log; return $status")
	if code == 0 || !strings.Contains(out, reason.New(reason.NobodyWithout).Peer()) {
		t.Errorf("status %d: %s", code, out)
	}
	s.server.WaitLog("cause=nobody_without_ipsec")
	datagrams := capture.UDP(1701)
	if len(datagrams) < 4 {
		t.Errorf("%d datagrams", len(datagrams))
	}
	for _, d := range datagrams {
		if strings.Contains(string(d.Payload), "geheim") {
			t.Errorf("the password is sent: %q", d.Payload)
		}
	}
	s.set("otto", "ipsec", "none")
	s.reload(network)
	s.dialL2TP("otto", "$(code "+secret+" "+pin+")", "nomppe")
	s.l2tp = true
	s.hangup()
}

// dialL2TP dials in by L2TP at a site whose guest otherwise dials by PPTP.
func (s *site) dialL2TP(user, password, options string) {
	s.t.Helper()
	s.l2tp = true
	defer func() { s.l2tp = false }()
	s.dial(user, password, options)
}
