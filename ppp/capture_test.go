package ppp_test

import (
	"bytes"
	"errors"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"vpnd/internal/reason"
	"vpnd/ppp"
	"vpnd/ppp/wire"
	"vpnd/testenv/persona"
	"vpnd/testenv/recording"
)

// recordedPassword is the password of the recorded dial-ins.
const recordedPassword = "Correct-Horse9"

// replay plays one side of a recorded dial-in to an engine, which plays the other side. It turns
// answers to the recorded peer's requests into answers to the engine's.
type replay struct {
	t        *testing.T
	name     string
	e        *ppp.Engine
	random   persona.Draws
	requests map[wire.Protocol]wire.Packet // last ones of the engine
	said     []string                      // by the engine, readable
	value    []byte                        // of the engine's CHAP response
	success  string                        // of the engine
	up       *ppp.NetworkUp
	closed   *ppp.Closed
	refused  bool
	given    netip.Addr
	dns      []netip.Addr
}

func (r *replay) drain() {
	for {
		event, ok := r.e.Next()
		if !ok {
			return
		}
		switch v := event.(type) {
		case ppp.Transmit:
			r.said = append(r.said, wire.Format(v.Frame))
			protocol, info, _ := wire.ParseFrame(v.Frame)
			p, _ := wire.ParsePacket(info)
			switch {
			case protocol == wire.CHAP && p.Code == wire.CHAPResponse:
				r.value, _, _ = wire.ParseCHAP(p.Body)
			case protocol == wire.CHAP && p.Code == wire.CHAPSuccess:
				r.success = string(p.Body)
			// PAP's request has the same code.
			case protocol != wire.CHAP && p.Code == wire.ConfigureRequest:
				r.requests[protocol] = p
			}
		case ppp.Authenticate:
			if v.User == "alice" && v.Proof.Verify(recordedPassword) {
				r.e.Grant(start, ppp.Grant{Password: recordedPassword, Local: inner, Peer: r.given, DNS: r.dns})
			} else {
				r.refused = true
				r.e.Refuse(start, ppp.Refusal{Reason: reason.New(reason.WrongPassword)})
			}
		case ppp.NetworkUp:
			r.up = &v
		case ppp.Closed:
			r.closed = &v
		default:
		}
	}
}

func (r *replay) receive(protocol wire.Protocol, p wire.Packet) {
	r.e.Receive(start, p.Append(wire.AppendFrame(nil, protocol)))
	r.drain()
}

// say sends a recorded frame.
func (r *replay) say(protocol wire.Protocol, p wire.Packet) {
	ours := r.requests[protocol]
	switch {
	case protocol == wire.PAP && p.Code != wire.PAPRequest:
		p.ID = ours.ID
	case protocol == wire.PAP || protocol == wire.CHAP:
	case p.Code == wire.ConfigureReject:
		return
	case protocol == wire.IPCP && p.Code == wire.ConfigureRequest:
		p.Body = without(p.Body, wire.IPCPCompress) // we reject it
	case p.Code == wire.ConfigureAck:
		p.ID, p.Body = ours.ID, ours.Body
	case p.Code == wire.ConfigureNak:
		// A peer that gives only an address rejects the other options that we ask for.
		if rest := without(ours.Body, wire.IPCPAddress); len(rest) > 0 && len(without(p.Body, wire.IPCPAddress)) == 0 {
			r.receive(protocol, wire.Packet{Code: wire.ConfigureReject, ID: ours.ID, Body: rest})
		}
		p.ID = r.requests[protocol].ID
	}
	r.receive(protocol, p)
}

func without(body []byte, kind byte) (rest []byte) {
	options, _ := wire.ParseOptions(body)
	for _, o := range options {
		if o.Type != kind {
			rest = wire.AppendOption(rest, o)
		}
	}
	return rest
}

// recorded is one dial-in of a recording.
type recorded struct {
	frames    []recording.Frame
	challenge []byte
	response  []byte
	success   string // the server's
	method    ppp.Method
	mppe      bool
	given     netip.Addr
	dns       []netip.Addr
}

// dialIns splits a recording: a dial-in begins with the first request of a client's LCP.
func dialIns(t *testing.T, name string) (list []*recorded) {
	t.Helper()
	var first []byte
	for _, f := range recording.Frames(t, name) {
		protocol, info, err := wire.ParseFrame(f.PPP)
		p, err2 := wire.ParsePacket(info)
		if err != nil || protocol < 0x8000 || err2 != nil {
			continue
		}
		if f.Sent && protocol == wire.LCP && p.Code == wire.ConfigureRequest && p.ID == 1 && !bytes.Equal(p.Body, first) || len(list) == 0 {
			first = nil
			if f.Sent {
				first = p.Body
			}
			if len(list) == 0 || len(list[len(list)-1].challenge) > 0 || list[len(list)-1].method == ppp.PAP {
				list = append(list, &recorded{})
			}
		}
		d := list[len(list)-1]
		d.frames = append(d.frames, f)
		switch {
		case protocol == wire.PAP:
			d.method = ppp.PAP
		case protocol == wire.CHAP && p.Code == wire.CHAPChallenge:
			d.challenge, _, err = wire.ParseCHAP(p.Body)
		case protocol == wire.CHAP && p.Code == wire.CHAPResponse:
			d.response, _, err = wire.ParseCHAP(p.Body)
			d.method = map[bool]ppp.Method{true: ppp.MSCHAPv1, false: ppp.MSCHAPv2}[len(d.challenge) == 8]
			if len(d.response) == 16 {
				d.method = ppp.CHAPMD5
			}
		case protocol == wire.CHAP && p.Code == wire.CHAPSuccess:
			d.success = string(p.Body)
		case protocol == wire.CCP && p.Code == wire.ConfigureRequest:
			d.mppe = d.mppe || len(p.Body) > 0 && p.Body[0] == wire.CCPMPPE
		case protocol == wire.IPCP && p.Code == wire.ConfigureNak && len(p.Body) >= 6:
			options, _ := wire.ParseOptions(p.Body)
			for _, o := range options {
				if address, _ := netip.AddrFromSlice(o.Data); o.Type == wire.IPCPAddress {
					d.given = address
				} else if o.Type == wire.IPCPDNS1 || o.Type == wire.IPCPDNS2 {
					d.dns = append(d.dns, address)
				}
			}
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	return list
}

// play runs a dial-in with an engine in place of one side.
func (d *recorded) play(t *testing.T, name string, cfg ppp.Config) *replay {
	t.Helper()
	cfg.Auth = []ppp.Method{d.method}
	if d.mppe {
		cfg.MPPE.Mode = ppp.MPPEOptional
	}
	r := &replay{t: t, name: name, requests: map[wire.Protocol]wire.Packet{}, given: d.given, dns: d.dns, random: persona.Draws{}}
	if d.method != ppp.PAP && cfg.Role == ppp.Server {
		// MS-CHAP uses the first 8 bytes.
		r.random[16] = append(bytes.Clone(d.challenge), make([]byte, 16)...)[:16]
	} else if d.method == ppp.MSCHAPv2 {
		r.random[16] = d.response[:16]
	}
	cfg.Random = r.random
	r.e = ppp.New(cfg)
	r.e.Start(start)
	r.drain()
	for _, f := range d.frames {
		protocol, info, err := wire.ParseFrame(f.PPP)
		p, err2 := wire.ParsePacket(info)
		if errors.Join(err, err2) != nil || f.Sent == (cfg.Role == ppp.Client) || protocol < 0x8000 {
			continue
		}
		if protocol == wire.CHAP && p.Code == wire.CHAPResponse {
			p.ID = 0
			for _, text := range r.said {
				if strings.HasPrefix(text, "CHAP Challenge id=0x") {
					p.ID = lastID(text)
				}
			}
		}
		r.say(protocol, p)
	}
	return r
}

// lastID reads the identifier of a readable frame.
func lastID(text string) (id uint8) {
	_, rest, _ := strings.Cut(text, "id=0x")
	for _, c := range rest {
		switch {
		case c >= '0' && c <= '9':
			id = id<<4 | uint8(c-'0')
		case c >= 'a' && c <= 'f':
			id = id<<4 | uint8(c-'a'+10)
		default:
			return id
		}
	}
	return id
}

func recordings(t *testing.T) (names []string) {
	t.Helper()
	for _, dir := range []string{"wire", "mppe"} {
		more, err := filepath.Glob(dir + "/testdata/*.pcap")
		if err != nil || len(more) == 0 {
			t.Fatalf("captures: %v, %v", more, err)
		}
		names = append(names, more...)
	}
	return names
}

// The clients of the recorded dial-ins get in here with the frames that they sent to another
// server, and our proof of MS-CHAPv2 is the one that they got.
func TestRecordedClients(t *testing.T) {
	up, refused := map[ppp.Method]int{}, 0
	for _, name := range recordings(t) {
		for _, d := range dialIns(t, name) {
			if d.method == ppp.CHAPMD5 && len(d.challenge) != 16 {
				continue // our challenges have no other length
			}
			r := d.play(t, name, ppp.Config{})
			switch {
			case r.refused:
				refused++
			case r.up == nil || r.up.Peer != d.given || r.up.Encrypter != nil != d.mppe:
				t.Errorf("%s: %v does not come up: %+v\n%s", name, d.method, r.up, strings.Join(r.said, "\n"))
			default:
				up[d.method]++
			}
			if ours, theirs := strings.Fields(r.success + " -")[0], strings.Fields(d.success + " -")[0]; d.method == ppp.MSCHAPv2 && ours != theirs {
				t.Errorf("%s: we prove %s, want %s", name, ours, theirs)
			}
		}
	}
	if up[ppp.PAP] < 2 || up[ppp.MSCHAPv1] < 1 || up[ppp.MSCHAPv2] < 8 || refused != 3 {
		t.Errorf("%v come up, %d are refused", up, refused)
	}
}

// Our client gets in at the recorded servers with the exact bytes of pppd's proof.
func TestRecordedServers(t *testing.T) {
	up, refused := map[ppp.Method]int{}, 0
	for _, name := range recordings(t) {
		for _, d := range dialIns(t, name) {
			r := d.play(t, name, ppp.Config{Role: ppp.Client, User: "alice", Password: recordedPassword})
			if !d.given.IsValid() { // with another password
				refused++
				if d.method != ppp.PAP && bytes.Equal(r.value, d.response) || r.up != nil {
					t.Errorf("%s: the wrong password gives the right proof", name)
				}
				continue
			}
			if !bytes.Equal(r.value, d.response) && d.method != ppp.MSCHAPv1 {
				t.Errorf("%s: our proof is %x, want %x", name, r.value, d.response)
			}
			if r.up == nil || r.up.Local != d.given || r.up.Encrypter != nil != d.mppe {
				t.Errorf("%s: %v does not come up: %+v\n%s", name, d.method, r.up, strings.Join(r.said, "\n"))
			}
			up[d.method]++
		}
	}
	if up[ppp.PAP] < 2 || up[ppp.CHAPMD5] < 2 || up[ppp.MSCHAPv1] < 1 || up[ppp.MSCHAPv2] < 8 || refused != 4 {
		t.Errorf("%v come up, %d are refused", up, refused)
	}
}
