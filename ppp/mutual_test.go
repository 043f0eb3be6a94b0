package ppp_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
	"vpnd/internal/reason"
	"vpnd/ppp"
	"vpnd/ppp/wire"
)

var vigor = ppp.Mutual{User: "vigor", Password: "schwarz"}

// askPAP is the peer's request that we authenticate ourselves.
func askPAP(id uint8) []byte { return frame(wire.LCP, wire.ConfigureRequest, id, 3, 4, 0xC0, 0x23) }

func (r *raw) openMutual() {
	r.t.Helper()
	r.want(r.say(askPAP(1)), "LCP ConfAck id=0x1 <auth pap>")
	r.ack(wire.LCP)
}

func mutualServer() ppp.Config { return ppp.Config{Auth: []ppp.Method{ppp.PAP}, Mutual: vigor} }

// at returns the index of the first frame with this beginning, or -1.
func (l *wireLink) at(frame string) int {
	return slices.IndexFunc(l.frames, func(f string) bool { return strings.HasPrefix(f, frame) })
}

// The server authenticates itself after it has let the client in. No network protocol begins before
// that.
func TestMutual(t *testing.T) {
	for _, m := range methods {
		for _, mode := range []ppp.MPPEMode{ppp.MPPEOff, ppp.MPPERequired} {
			if mode == ppp.MPPERequired && m < ppp.MSCHAPv1 {
				continue
			}
			t.Run(fmt.Sprint(m, mode), func(t *testing.T) {
				client := clientConfig(m)
				client.Mutual, client.MPPE.Mode = vigor, mode
				l := newLink(t, client, ppp.Config{Mutual: vigor, MPPE: ppp.MPPE{Mode: mode}})
				l.start()
				l.run(2 * time.Second)
				l.wantUp()
				if mode == ppp.MPPERequired && l.b.up.Encrypter == nil {
					t.Error("nothing is encrypted")
				}
				success := map[bool]string{true: "< PAP AuthAck", false: "< CHAP Success"}[m == ppp.PAP]
				granted, shown, accepted := l.at(success), l.at(`< PAP AuthReq id=0x`), l.at("> PAP AuthAck")
				network := slices.IndexFunc(l.frames, func(f string) bool { return strings.Contains(f, "CP Conf") && !strings.Contains(f, "LCP") })
				if granted < 0 || shown < granted || accepted < shown || network < accepted {
					t.Errorf("granted %d, shown %d, accepted %d, network %d\n%s", granted, shown, accepted, network, l.tail())
				}
				if !strings.Contains(l.frames[shown], `user="vigor"`) {
					t.Errorf("shown: %s", l.frames[shown])
				}
			})
		}
	}
}

func TestMutualOption(t *testing.T) {
	r := newRaw(t, papOnly)
	r.want(r.say(askPAP(1)), "LCP ConfRej id=0x1 <auth pap>")
	chap := func(id uint8) []byte { return frame(wire.LCP, wire.ConfigureRequest, id, 3, 5, 0xC2, 0x23, 5) }
	r.want(r.say(chap(2)), "LCP ConfRej id=0x2 <auth chap MD5>")

	r = newRaw(t, mutualServer())
	for id, data := range [][]byte{{0xC2, 0x23, 5}, {0xC2, 0x27}, {0xC0, 0x23, 0}, {}} {
		body := append([]byte{3, uint8(2 + len(data))}, data...)
		r.want(r.say(frame(wire.LCP, wire.ConfigureRequest, uint8(id), body...)), fmt.Sprintf("LCP ConfNak id=0x%x <auth pap>", id))
	}
	r.want(r.say(askPAP(9)), "LCP ConfAck id=0x9 <auth pap>")

	// A peer that insists on CHAP gets a Reject in the end (RFC 1661 section 4.6).
	r = newRaw(t, mutualServer())
	for id := range uint8(5) {
		r.want(r.say(chap(id)), "LCP ConfNak")
	}
	r.want(r.say(chap(5)), "LCP ConfRej id=0x5 <auth chap MD5>")

	// The last acknowledged request counts: here, we do not authenticate ourselves.
	r = newRaw(t, mutualServer())
	r.say(askPAP(1))
	r.openLCP()
	r.want(r.say(papLogin(1)), "PAP AuthAck", "IPCP ConfReq")
}

// These are the answers while the client proves itself, while it awaits the verdict, and
// afterwards.
func TestMutualPhases(t *testing.T) {
	const silent, reject = "", "LCP ProtRej"
	verdict := func(code wire.Code, off uint8) func(*raw) []byte {
		return func(r *raw) []byte { return frame(wire.PAP, code, r.ask[wire.PAP].ID+off, 0) }
	}
	is := func(f []byte) func(*raw) []byte { return func(*raw) []byte { return f } }
	for _, p := range []struct {
		name                  string
		frame                 func(*raw) []byte
		proof, shown, network string
	}{
		{"ack", verdict(wire.PAPAck, 0), silent, "IPCP ConfReq", silent},
		{"ack of another request", verdict(wire.PAPAck, 1), silent, silent, silent},
		{"nak", verdict(wire.PAPNak, 0), silent, "LCP TermReq", silent},
		{"nak of another request", verdict(wire.PAPNak, 1), silent, silent, silent},
		{"log-in", is(papLogin(7)), "PAP AuthAck id=0x7", "PAP AuthAck id=0x7", "PAP AuthAck id=0x7"},
		{"other log-in", is(proof(t, ppp.PAP, 7, nil, "bob", "x")), silent, silent, silent},
		{"IPCP", is(frame(wire.IPCP, wire.ConfigureRequest, 7)), silent, silent, "IPCP ConfNak"},
		{"IPv6", is(frame(wire.IPv6, 0x60, 7)), silent, silent, reject},
		{"echo", is(frame(wire.LCP, wire.EchoRequest, 7, 0, 0, 0, 0)), "LCP EchoRep", "LCP EchoRep", "LCP EchoRep"},
		{"LCP anew", is(frame(wire.LCP, wire.ConfigureRequest, 7)), "LCP ConfReq", "LCP ConfReq", "LCP ConfReq"},
	} {
		for phase, want := range map[string]string{"proof": p.proof, "shown": p.shown, "network": p.network} {
			r := newRaw(t, mutualServer())
			r.openMutual()
			if _, told := r.ask[wire.PAP]; told {
				t.Fatal("a stranger is told the server's password")
			}
			if phase != "proof" {
				r.want(r.say(papLogin(1)), "PAP AuthAck id=0x1", `PAP AuthReq id=0x2 user="vigor" password=<hidden>`)
			}
			if phase == "network" {
				r.want(r.say(verdict(wire.PAPAck, 0)(r)), "IPCP ConfReq")
			}
			got := r.say(p.frame(r))
			if want == silent && len(got) > 0 || want != silent && !slices.ContainsFunc(got, func(f string) bool { return strings.Contains(f, want) }) {
				t.Errorf("%s in %s: %q, want %q", p.name, phase, got, want)
			}
		}
	}
}

// The name and the password are sent exactly as configured.
func TestMutualRequest(t *testing.T) {
	r := newRaw(t, mutualServer())
	r.openMutual()
	r.say(papLogin(1))
	user, password, err := wire.ParsePAP(r.ask[wire.PAP].Body)
	if err != nil || string(user) != "vigor" || string(password) != "schwarz" {
		t.Errorf(`%q %q %v, want "vigor" "schwarz" nil`, user, password, err)
	}
}

// A client that refuses the server, or does not answer, gets no link.
func TestMutualRefused(t *testing.T) {
	t.Run("nak", func(t *testing.T) {
		r := newRaw(t, mutualServer())
		r.openMutual()
		r.say(papLogin(1))
		r.want(r.say(frame(wire.PAP, wire.PAPNak, r.ask[wire.PAP].ID, 2, 'n', 'o')), "LCP TermReq")
		r.wantClosed(reason.New(reason.MutualRefused))
	})
	t.Run("PAP is rejected", func(t *testing.T) {
		r := newRaw(t, mutualServer())
		r.openMutual()
		r.say(papLogin(1))
		r.want(r.say(frame(wire.LCP, wire.ProtocolReject, 1, 0xC0, 0x23)), "LCP TermReq")
		r.wantClosed(reason.New(reason.ProtocolRejected, "PAP"))
	})
	for name, cfg := range map[string]ppp.Config{
		"silence":                    {},
		"silence until the set-up's": {AuthTimeout: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			cfg.Auth, cfg.Mutual = papOnly.Auth, vigor
			r := newRaw(t, cfg)
			r.openMutual()
			r.say(papLogin(1))
			first, requests := r.ask[wire.PAP], 0
			for range 100 {
				r.out = nil
				r.now = r.now.Add(time.Second)
				r.e.Tick(r.now)
				r.drain()
				requests += strings.Count(strings.Join(r.out, "\n"), "PAP AuthReq")
			}
			most := 9
			if cfg.AuthTimeout != 0 {
				most = 19
			}
			if requests != most || r.ask[wire.PAP].ID != first.ID {
				t.Errorf("repeated %d times, want %d", requests, most)
			}
			r.wantClosed(reason.New(reason.MutualTimeout))
			if r.up() != nil {
				t.Error("the link is up")
			}
		})
	}
}

// A lost request is repeated. If its Ack was lost, the request is answered again, even by a client
// in the network phase.
func TestMutualRepeats(t *testing.T) {
	r := newRaw(t, mutualServer())
	r.openMutual()
	r.say(papLogin(1))
	r.out = nil
	r.now = r.now.Add(3 * time.Second)
	r.e.Tick(r.now)
	r.drain()
	r.want(r.out, "PAP AuthReq id=0x2")
	r.want(r.say(frame(wire.PAP, wire.PAPAck, r.ask[wire.PAP].ID)), "IPCP ConfReq")
	r.openIPCP()

	r = mutualClient(t)
	show := proof(t, ppp.PAP, 5, nil, vigor.User, vigor.Password)
	r.want(r.say(show), "PAP AuthAck id=0x5")
	r.want(r.say(show), "PAP AuthAck id=0x5")
	r.want(r.say(frame(wire.PAP, wire.PAPAck, r.ask[wire.PAP].ID)), "IPCP ConfReq")
	r.want(r.say(show), "PAP AuthAck id=0x5")
	r.want(r.say(proof(t, ppp.PAP, 6, nil, vigor.User, "weiss")))
	r.want(r.say(frame(wire.PAP, wire.PAPRequest, 7, 99)))
}

// mutualClient is a client whose server the test plays. LCP is open, and the client has sent its
// own log-in.
func mutualClient(t *testing.T) *raw {
	t.Helper()
	client := clientConfig(ppp.PAP)
	client.Role, client.Mutual = ppp.Client, vigor
	r := newRaw(t, client)
	r.want(r.out, "<auth pap>")
	r.want(r.say(askPAP(1)), "LCP ConfAck id=0x1 <auth pap>")
	r.want(r.ack(wire.LCP), `PAP AuthReq id=0x2 user="alice"`)
	return r
}

// A client that asks the server to authenticate itself refuses a server that does not do so, or
// that is another.
func TestMutualClient(t *testing.T) {
	for _, c := range []struct {
		name       string
		server     ppp.Mutual
		onClient   reason.Code
		onServer   reason.Code // "": any
		serverSays bool        // the server sends its password
	}{
		{"wrong password", ppp.Mutual{User: "vigor", Password: "weiss"}, reason.ServerWrongPassword, reason.MutualRefused, true},
		{"wrong name", ppp.Mutual{User: "draytek", Password: "schwarz"}, reason.ServerWrongPassword, reason.MutualRefused, true},
		{"longer password", ppp.Mutual{User: "vigor", Password: "schwarz2"}, reason.ServerWrongPassword, reason.MutualRefused, true},
		{"not set up", ppp.Mutual{}, reason.AuthRefused, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := clientConfig()
			client.Mutual = vigor
			l := newLink(t, client, ppp.Config{Mutual: c.server})
			l.start()
			l.run(90 * time.Second)
			if l.a.closed == nil || l.a.closed.Reason.Code != c.onClient {
				t.Errorf("client: %+v", l.a.closed)
			}
			if l.b.closed == nil || c.onServer != "" && l.b.closed.Reason.Code != c.onServer {
				t.Errorf("server: %+v", l.b.closed)
			}
			if l.a.ups+l.b.ups > 0 || (l.at("< PAP AuthReq") >= 0) != c.serverSays {
				t.Errorf("up %d and %d times\n%s", l.a.ups, l.b.ups, l.tail())
			}
		})
	}
	t.Run("silent server", func(t *testing.T) {
		r := mutualClient(t)
		r.want(r.say(frame(wire.PAP, wire.PAPAck, r.ask[wire.PAP].ID)))
		r.wantClosed(reason.New(reason.ServerSilent, 30*time.Second))
	})
	t.Run("server that offers only CHAP", func(t *testing.T) {
		client := clientConfig()
		client.Role, client.Mutual = ppp.Client, vigor
		r := newRaw(t, client)
		for range 5 {
			r.say(frame(wire.LCP, wire.ConfigureNak, r.ask[wire.LCP].ID, 3, 5, 0xC2, 0x23, 5))
		}
		r.want(r.out, "LCP TermReq")
		r.wantClosed(reason.New(reason.NoCommonAuth))
	})
	t.Run("server that asks for nothing", func(t *testing.T) {
		client := clientConfig()
		client.Role, client.Mutual = ppp.Client, vigor
		r := newRaw(t, client)
		r.openLCP()
		r.want(r.out)
		r.want(r.say(proof(t, ppp.PAP, 5, nil, vigor.User, vigor.Password)), "PAP AuthAck id=0x5", "IPCP ConfReq")
	})
}

// A refused client does not learn the server's password.
func TestMutualStranger(t *testing.T) {
	for _, m := range methods {
		client := clientConfig(m)
		client.Password, client.Mutual = "x", vigor
		l := newLink(t, client, ppp.Config{Mutual: vigor})
		l.start()
		l.run(time.Minute)
		if l.a.closed == nil || l.b.closed == nil || l.at("< PAP AuthReq") >= 0 {
			t.Errorf("%v: closed %v, %v\n%s", m, l.a.closed, l.b.closed, l.tail())
		}
	}
}

// If LCP begins again, both authentications begin again, or only the client's, as LCP then agrees.
func TestMutualAgain(t *testing.T) {
	for _, again := range []bool{false, true} {
		r := newRaw(t, mutualServer())
		r.openMutual()
		r.say(papLogin(1))
		first := r.ask[wire.PAP]
		r.say(frame(wire.PAP, wire.PAPAck, first.ID))
		r.openIPCP()
		if again {
			r.want(r.say(askPAP(20)), "LCP ConfReq", "LCP ConfAck id=0x14 <auth pap>")
		} else {
			r.want(r.say(frame(wire.LCP, wire.ConfigureRequest, 20)), "LCP ConfReq", "LCP ConfAck id=0x14")
		}
		r.ack(wire.LCP)
		if r.up() != nil {
			t.Error("the link stays up")
		}
		r.want(r.say(frame(wire.PAP, wire.PAPAck, first.ID)))
		if again {
			r.want(r.say(papLogin(2)), "PAP AuthAck id=0x2", "PAP AuthReq")
			r.want(r.say(frame(wire.PAP, wire.PAPAck, r.ask[wire.PAP].ID)), "IPCP ConfReq")
		} else {
			r.want(r.say(papLogin(2)), "PAP AuthAck id=0x2", "IPCP ConfReq")
		}
		r.openIPCP()
	}
}

// The client may be challenged again while the server still waits for its own verdict.
func TestMutualRechallenge(t *testing.T) {
	cfg := ppp.Config{Mutual: vigor, Auth: []ppp.Method{ppp.CHAPMD5}, Rechallenge: 2 * time.Second}
	r := newRaw(t, cfg)
	r.openMutual()
	id, challenge := r.challenged()
	r.want(r.say(proof(t, ppp.CHAPMD5, id, challenge, "alice", "geheim")), "CHAP Success", "PAP AuthReq")
	r.out = nil
	r.now = r.now.Add(2 * time.Second)
	r.e.Tick(r.now)
	r.drain()
	r.want(r.out, "CHAP Challenge")
	r.want(r.say(frame(wire.PAP, wire.PAPAck, r.ask[wire.PAP].ID)), "IPCP ConfReq")
	id, challenge = r.challenged()
	r.want(r.say(proof(t, ppp.CHAPMD5, id, challenge, "alice", "geheim")), "CHAP Success")
	r.openIPCP()
}

// Over a line that loses, doubles and swaps frames, both ends come up, or neither. They never come
// up if the server has a wrong password.
func TestMutualOnBadLine(t *testing.T) {
	opened := 0
	const runs = 400
	for seed := range uint64(runs) {
		client, server := clientConfig(methods[seed%4]), ppp.Config{Mutual: vigor, MPPE: ppp.MPPE{Mode: ppp.MPPEOptional}}
		client.Mutual = vigor
		if seed%4 >= 2 && seed%8 >= 4 {
			client.MPPE.Mode = ppp.MPPERequired
		}
		wrong := seed%10 == 9
		if wrong {
			server.Mutual.Password = "weiss"
		}
		l := newLink(t, client, server)
		l.rnd, l.loss = rand.New(rand.NewPCG(seed, 2)), 0.05+0.05*float64(seed%5)
		l.start()
		l.run(70 * time.Second)
		l.rnd = nil
		l.run(200 * time.Second)
		a, b := l.a.up != nil, l.b.up != nil
		if a != b || !a && (l.a.closed == nil || l.b.closed == nil) {
			t.Fatalf("seed %d: client up %v closed %v, server up %v closed %v\n%s", seed, a, l.a.closed, b, l.b.closed, l.tail())
		}
		if wrong && l.a.ups+l.b.ups > 0 {
			t.Fatalf("seed %d: up with a wrong password\n%s", seed, l.tail())
		}
		if a {
			opened++
			l.wantUp()
		}
	}
	if opened < runs*2/3 {
		t.Errorf("only %d of %d links opened", opened, runs)
	}
}
