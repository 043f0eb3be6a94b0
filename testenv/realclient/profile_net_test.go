package realclient

import (
	"strings"
	"testing"
	"vpnd/internal/reason"
)

// A user's pool gives the address and the name servers. A reload moves the pools while a connection
// is up.
func TestProfilePools(t *testing.T) {
	const staff = "network: {interface: vpn0, address: 10.99.0.1, pool: {start: 10.99.0.10, count: 2}, dns: [10.99.0.53]," +
		" pools: {staff: {pool: 10.98.0.8/30, dns: [10.98.0.53, 10.98.0.54]}}, pool_change: "
	const moved = "network: {interface: vpn0, address: 10.99.0.1, pool: {start: 10.99.0.10, count: 2}, dns: [10.99.0.53]," +
		" pools: {staff: {pool: 10.97.0.0/29, dns: [10.97.0.53]}}, pool_change: "
	s := newSite(t, "")
	s.server.Stop()
	s.server.Configure(staff + "keep}\n")
	s.server.Start()
	wantDNS := func(want string) {
		s.t.Helper()
		if got := strings.Join(strings.Fields(s.must("sed -n 's/.* DNS address //p' /run/pppd0")), " "); got != want {
			s.t.Errorf("name servers %q, want %q:\n%s", got, want, s.pppd())
		}
	}
	t.Run("start and count", func(t *testing.T) {
		s.t = t
		s.set("alice", "max-connections", "3")
		first := s.dial("alice", "geheim", "nomppe usepeerdns")
		wantDNS("10.99.0.53")
		second := strings.TrimSpace(s.must("unit=1; pptp alice geheim nomppe && address; unit=0"))
		if first+" "+second != "10.99.0.10 10.99.0.11" {
			t.Errorf("%s, %s", first, second)
		}
		s.must("unit=2; ! pptp alice geheim nomppe && grep E=649 /run/pppd2; status=$?; unit=0; return $status")
		s.server.WaitLog("refused", "user=alice", "cause=pool_empty")
		s.must("unit=1; hangup; unit=0; hangup")
	})
	t.Run("a named pool", func(t *testing.T) {
		s.t = t
		s.set("alice", "pool", "staff")
		if got := s.dial("alice", "geheim", "nomppe usepeerdns"); !strings.HasPrefix(got, "10.98.0.") {
			t.Errorf("address %s", got)
		}
		wantDNS("10.98.0.53 10.98.0.54")
		s.must("ping -c 1 -W 20 10.99.0.1")
	})
	t.Run("a reload keeps the connection", func(t *testing.T) {
		s.t = t
		s.reload(moved + "keep}\n")
		s.must("ping -c 2 -i 0.2 -W 20 10.99.0.1")
		s.hangup()
		if got := s.dial("alice", "geheim", "nomppe usepeerdns"); !strings.HasPrefix(got, "10.97.0.") {
			t.Errorf("address %s", got)
		}
		wantDNS("10.97.0.53")
		s.must("ping -c 1 -W 20 10.99.0.1")
	})
	t.Run("a reload drops the connection", func(t *testing.T) {
		s.t = t
		s.reload(staff + "drop}\n")
		s.ended("alice", reason.New(reason.AddressLeftPool))
		if got := s.dial("alice", "geheim", "nomppe"); !strings.HasPrefix(got, "10.98.0.") {
			t.Errorf("address %s", got)
		}
		s.must("ping -c 1 -W 20 10.99.0.1")
		s.hangup()
	})
	t.Run("the pool is gone", func(t *testing.T) {
		s.t = t
		s.reload(network)
		s.keptOut("alice", "", "E=649", reason.NoPool)
	})
}

// A reload changes the MPPE that the server asks of clients.
func TestProfileEncryption(t *testing.T) {
	s := newSite(t, "ppp: {mppe: required}\n")
	s.dial("alice", "geheim", "require-mppe-40")
	s.server.WaitLog("connected", "encryption=\"MPPE-40 stateless\"")
	s.must("ping -c 1 -W 20 10.99.0.1")
	s.reload(network + "ppp: {mppe: maximum}\n")
	s.must("ping -c 1 -W 20 10.99.0.1") // the agreed encryption stays
	s.hangup()
	s.server.Forget()
	if log := s.refused("alice", "geheim", "require-mppe-40"); !strings.Contains(log, "MPPE required but peer negotiation failed") {
		t.Errorf("40 bits are not what it fails by:\n%s", log)
	}
	s.server.WaitLog("refused", "user=alice", "cause=hung_up_before_connected")
	s.server.Forget()
	s.refused("alice", "geheim", only["MS-CHAPv2"]+" nomppe")
	s.server.WaitLog("refused", "cause=mppe_")
	s.dial("alice", "geheim", "require-mppe-128")
	s.server.WaitLog("connected", "encryption=\"MPPE-128 stateless\"")
	s.must("ping -c 1 -W 20 10.99.0.1")
	s.hangup()
	s.reload(network + "ppp: {mppe: off}\n")
	s.dial("alice", "geheim", "")
	s.server.WaitLog("connected", "encryption=none")
	s.hangup()
}

// The server accepts one-time passwords of an authenticator app, as oathtool computes them. Each
// works once, with every proof.
func TestProfileTOTP(t *testing.T) {
	const totp = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
	s := newSite(t, "motp: {window: 3m, max_failures: 50}\n")
	s.server.VPND("user", "add", "tina", "--password", "geheim")
	s.set("tina", "password", "", "totp-secret", totp)
	for i, c := range []struct{ auth, options string }{
		{"PAP", "nomppe"}, {"MS-CHAPv2", "require-mppe-128"},
	} {
		t.Run(c.auth, func(t *testing.T) {
			s.t = t
			s.server.Forget()
			// The second one comes from an app whose clock is a minute ahead.
			s.must("oathtool --totp --base32 --now \"$(date -u -d \"@$(($(date +%s) + " + []string{"0", "60"}[i] + "))\" '+%Y-%m-%d %H:%M:%S UTC')\" " + totp + " > /run/otp")
			s.dial("tina", "$(cat /run/otp)", only[c.auth]+" "+c.options)
			s.must("ping -c 1 -W 20 10.99.0.1")
			s.hangup()
			s.refused("tina", "$(cat /run/otp)", only[c.auth]+" "+c.options)
			s.server.WaitLog("refused", "user=tina", "cause=used_code")
		})
	}
	s.t = t
	s.server.Forget()
	s.refused("tina", "$(oathtool --totp --base32 --now \"$(date -u -d \"@$(($(date +%s) + 600))\" '+%Y-%m-%d %H:%M:%S UTC')\" "+totp+")", only["PAP"]+" nomppe")
	s.server.WaitLog("refused", "user=tina", "the token's clock is 10 minutes ahead")
}
