package ppp_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"vpnd/internal/reason"
	"vpnd/ppp"
	"vpnd/ppp/mppe"
)

func TestDialIn(t *testing.T) {
	on := func(mode ppp.MPPEMode, strengths ...mppe.Strength) ppp.MPPE {
		return ppp.MPPE{Mode: mode, Strengths: strengths}
	}
	stateful := ppp.MPPE{Mode: ppp.MPPERequired, Stateful: true}
	for _, c := range []struct {
		name           string
		method         ppp.Method
		client, server ppp.MPPE
		want           string
	}{
		{"PAP", ppp.PAP, ppp.MPPE{}, on(ppp.MPPEOptional), "none"},
		{"CHAP", ppp.CHAPMD5, on(ppp.MPPEOptional), on(ppp.MPPEOptional), "none"},
		{"MS-CHAP", ppp.MSCHAPv1, ppp.MPPE{}, on(ppp.MPPEOptional), "none"},
		{"MS-CHAPv2", ppp.MSCHAPv2, ppp.MPPE{}, on(ppp.MPPEOptional), "none"},
		{"MS-CHAP 128", ppp.MSCHAPv1, on(ppp.MPPERequired), on(ppp.MPPEOptional), "MPPE-128 stateless"},
		{"MS-CHAP 40", ppp.MSCHAPv1, on(ppp.MPPERequired, mppe.Bits40), on(ppp.MPPEOptional), "MPPE-40 stateless"},
		{"MS-CHAP 56", ppp.MSCHAPv1, on(ppp.MPPERequired, mppe.Bits56), on(ppp.MPPEOptional), "MPPE-56 stateless"},
		{"MS-CHAPv2 128", ppp.MSCHAPv2, on(ppp.MPPERequired), on(ppp.MPPERequired), "MPPE-128 stateless"},
		{"MS-CHAPv2 56", ppp.MSCHAPv2, on(ppp.MPPERequired, mppe.Bits56), on(ppp.MPPERequired), "MPPE-56 stateless"},
		{"MS-CHAPv2 40", ppp.MSCHAPv2, on(ppp.MPPERequired, mppe.Bits40), on(ppp.MPPERequired), "MPPE-40 stateless"},
		{"server asks for 40", ppp.MSCHAPv2, on(ppp.MPPEOptional), on(ppp.MPPERequired, mppe.Bits40), "MPPE-40 stateless"},
		{"stateful", ppp.MSCHAPv2, on(ppp.MPPEOptional), stateful, "MPPE-128 stateful"},
		{"stateful 40", ppp.MSCHAPv1, on(ppp.MPPERequired, mppe.Bits40), stateful, "MPPE-40 stateful"},
		{"a client that refuses stateful", ppp.MSCHAPv2, ppp.MPPE{Mode: ppp.MPPERequired, Stateless: true}, stateful, "MPPE-128 stateless"},
		{"no common strength", ppp.MSCHAPv2, on(ppp.MPPEOptional, mppe.Bits128), on(ppp.MPPEOptional, mppe.Bits40), "none"},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := clientConfig(c.method)
			client.MPPE = c.client
			l := newLink(t, client, ppp.Config{MPPE: c.server, MRU: 1400})
			l.start()
			l.run(2 * time.Second) // before any repetition
			l.wantUp()
			if l.a.up.Encryption != c.want || l.b.up.Encryption != c.want {
				t.Errorf("encryption: client %q, server %q, want %q", l.a.up.Encryption, l.b.up.Encryption, c.want)
			}
			if l.b.method != c.method || l.b.asked != 1 {
				t.Errorf("method %v asked %d times", l.b.method, l.b.asked)
			}
			if l.a.up.PeerMRU != 1400 || l.b.up.PeerMRU != 1400 {
				t.Errorf("MRU towards the server %d, towards the client %d", l.a.up.PeerMRU, l.b.up.PeerMRU)
			}
			if got := l.a.up.DNS; len(got) != 1 || got[0] != dns {
				t.Errorf("DNS: %v", got)
			}
			l.a.Close(l.now, reason.New(reason.HangsUp))
			l.run(10 * time.Second)
			if l.a.closed == nil || l.a.closed.Reason.Code != reason.HangsUp || l.b.closed == nil || !l.b.closed.Peer {
				t.Errorf("closed: %v, %v", l.a.closed, l.b.closed)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	required := ppp.MPPE{Mode: ppp.MPPERequired}
	for _, c := range []struct {
		name           string
		client         func(*ppp.Config)
		server         ppp.Config
		refusal        *ppp.Refusal
		onClient, onUs string
	}{
		{"wrong password, PAP", func(c *ppp.Config) { c.Auth, c.Password = []ppp.Method{ppp.PAP}, "x" }, ppp.Config{}, nil, `server refuses the log-in: "Access denied"`, "wrong password"},
		{"wrong password, CHAP", func(c *ppp.Config) { c.Auth, c.Password = []ppp.Method{ppp.CHAPMD5}, "x" }, ppp.Config{}, nil, `"Access denied"`, "wrong password"},
		{"wrong password, MS-CHAP", func(c *ppp.Config) { c.Auth, c.Password = []ppp.Method{ppp.MSCHAPv1}, "x" }, ppp.Config{}, nil, "wrong name or password", "wrong password"},
		{"wrong password, MS-CHAPv2", func(c *ppp.Config) { c.Password = "x" }, ppp.Config{}, nil, "wrong name or password", "wrong password"},
		{"disabled", func(c *ppp.Config) { c.User = "bob" }, ppp.Config{}, &ppp.Refusal{Reason: reason.New(reason.AccountDisabled)}, "the account is disabled", "account disabled"},
		{"no common authentication", func(c *ppp.Config) { c.Auth = []ppp.Method{ppp.PAP} }, ppp.Config{Auth: []ppp.Method{ppp.MSCHAPv2, ppp.CHAPMD5}}, nil, "", "no allowed authentication"},
		{"MPPE required of a client without", func(*ppp.Config) {}, ppp.Config{MPPE: required}, nil, "hung up", "MPPE is required"},
		{"MPPE required of a server without", func(c *ppp.Config) { c.MPPE = required }, ppp.Config{}, nil, "MPPE is required", "hung up"},
		{"MPPE required and PAP", func(c *ppp.Config) { c.Auth = []ppp.Method{ppp.PAP} }, ppp.Config{MPPE: required}, nil, "", "no allowed authentication"},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := clientConfig()
			c.client(&client)
			l := newLink(t, client, c.server)
			if c.refusal != nil {
				l.b.refusal = *c.refusal
			}
			l.start()
			l.run(90 * time.Second)
			if l.a.closed == nil || l.b.closed == nil {
				t.Fatalf("closed: client %v, server %v\n%s", l.a.closed, l.b.closed, l.tail())
			}
			if !strings.Contains(l.a.closed.Reason.String(), c.onClient) {
				t.Errorf("client: %q, want %q", l.a.closed.Reason.String(), c.onClient)
			}
			if !strings.Contains(l.b.closed.Reason.String(), c.onUs) {
				t.Errorf("server: %q, want %q", l.b.closed.Reason.String(), c.onUs)
			}
			if l.a.ups != 0 || l.b.ups != 0 {
				t.Errorf("up %d and %d times", l.a.ups, l.b.ups)
			}
		})
	}
}

// A link that loses, doubles and swaps frames ends open with the same state at both ends, or
// closed.
func TestBadLine(t *testing.T) {
	opened := 0
	const runs = 600
	for seed := range uint64(runs) {
		client, server := clientConfig(methods[seed%4]), ppp.Config{MPPE: ppp.MPPE{Mode: ppp.MPPEOptional}}
		if seed%4 >= 2 && seed%8 >= 4 {
			client.MPPE.Mode = ppp.MPPERequired
			if seed%16 >= 8 {
				server.MPPE.Mode = ppp.MPPERequired
			}
		}
		wrong := seed%10 == 9
		if wrong {
			client.Password = "x"
		}
		l := newLink(t, client, server)
		l.rnd, l.loss = rand.New(rand.NewPCG(seed, 1)), 0.05+0.05*float64(seed%5)
		l.start()
		l.run(70 * time.Second)
		l.rnd = nil // open links must agree once the line is good
		l.run(200 * time.Second)
		a, b := l.a.up != nil, l.b.up != nil
		if a != b || !a && (l.a.closed == nil || l.b.closed == nil) {
			t.Fatalf("seed %d: client up %v closed %v, server up %v closed %v\n%s", seed, a, l.a.closed, b, l.b.closed, l.tail())
		}
		if wrong && (l.a.ups > 0 || l.b.ups > 0) {
			t.Fatalf("seed %d: up with a wrong password\n%s", seed, l.tail())
		}
		if !a {
			if l.a.closed.Reason.IsZero() || l.b.closed.Reason.IsZero() {
				t.Errorf("seed %d: closed without a reason", seed)
			}
			continue
		}
		opened++
		l.wantUp()
		if l.b.asked > 3 {
			t.Errorf("seed %d: authenticated %d times", seed, l.b.asked)
		}
	}
	if opened < runs*2/3 {
		t.Errorf("only %d of %d links opened", opened, runs)
	}
}

func TestSilentPeer(t *testing.T) {
	l := newLink(t, clientConfig(), ppp.Config{})
	l.b.Start(l.now)
	l.run(2 * time.Minute)
	if l.b.closed == nil || l.b.closed.Peer || l.b.closed.Reason.Code != reason.NoLCPAnswer {
		t.Errorf("closed: %v", l.b.closed)
	}
	if n := len(l.frames); n != 10 {
		t.Errorf("%d frames, want ten Configure-Requests:\n%s", n, strings.Join(l.frames, "\n"))
	}
}

func TestEcho(t *testing.T) {
	l := newLink(t, clientConfig(ppp.PAP), ppp.Config{})
	l.start()
	l.run(10 * time.Second)
	l.wantUp()
	before := len(l.frames)
	l.run(10 * time.Minute)
	if l.a.closed != nil || l.b.closed != nil {
		t.Fatalf("an idle link was closed: %v, %v", l.a.closed, l.b.closed)
	}
	if n := len(l.frames) - before; n < 20 || n > 85 {
		t.Errorf("%d frames in ten idle minutes", n)
	}
	l.a.Down(reason.New(reason.ServerHungUp))
	silentSince := l.now
	l.run(time.Minute)
	l.b.Activity(l.now) // data still arrives
	last := l.now
	for l.b.closed == nil && l.now.Sub(last) < 10*time.Minute {
		l.run(time.Second)
	}
	if got := l.now.Sub(last); got < 2*time.Minute || got > 2*time.Minute+31*time.Second {
		t.Errorf("dead after %v of silence (since %v)", got, silentSince)
	}
	if l.b.closed == nil || !strings.Contains(l.b.closed.Reason.String(), "echo time-out") {
		t.Errorf("closed: %v", l.b.closed)
	}
}

func TestSlowOwner(t *testing.T) {
	l := newLink(t, clientConfig(), ppp.Config{})
	l.b.password = ""
	l.start()
	l.run(10 * time.Second)
	if l.b.asked != 1 {
		t.Fatalf("asked %d times while the answer is awaited", l.b.asked)
	}
	l.b.Grant(l.now, goodGrant)
	l.run(10 * time.Second)
	l.wantUp()
	l.b.Grant(l.now, ppp.Grant{}) // too late: no effect
	l.b.Refuse(l.now, ppp.Refusal{})
	l.run(time.Second)
	l.wantUp()
}

func TestAuthenticationTimeout(t *testing.T) {
	l := newLink(t, clientConfig(), ppp.Config{})
	l.b.password = ""
	l.start()
	l.run(2 * time.Minute)
	if l.b.closed == nil || !strings.Contains(l.b.closed.Reason.String(), "did not authenticate within 30s") {
		t.Errorf("closed: %v", l.b.closed)
	}
}

func TestEventsAreStrings(t *testing.T) {
	for m, want := range map[ppp.Method]string{ppp.PAP: "PAP", ppp.CHAPMD5: "CHAP", ppp.MSCHAPv1: "MS-CHAP", ppp.MSCHAPv2: "MS-CHAPv2"} {
		if fmt.Sprint(m) != want {
			t.Errorf("%v, want %s", m, want)
		}
	}
	for name, want := range map[string]ppp.Method{"pap": ppp.PAP, "chap": ppp.CHAPMD5, "mschap": ppp.MSCHAPv1, "mschapv2": ppp.MSCHAPv2} {
		if got, err := ppp.ParseMethod(name); err != nil || got != want {
			t.Errorf("%s: %v, %v, want %v", name, got, err, want)
		}
	}
	if _, err := ppp.ParseMethod("eap"); err == nil {
		t.Error("eap is taken")
	}
}
