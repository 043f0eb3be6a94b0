package ppp_test

import (
	"bufio"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"vpnd/ppp"
	"vpnd/ppp/wire"
)

var writePersonas = flag.Bool("personas", false, "write the answers that testdata/personas/*.txt want")

// The clients of testdata/personas say what real ones say, byte by byte, and hear what is written there. A line is
// a frame of the client (>), an answer (<), an Ack of our last request (ack), or what has to be agreed by then (up).
// Only the Acks are made from what the engine says.
func TestPersonas(t *testing.T) {
	names, err := filepath.Glob("testdata/personas/*.txt")
	if err != nil || len(names) < 6 {
		t.Fatalf("personas: %v, %v", names, err)
	}
	for _, name := range names {
		modes := []ppp.MPPEMode{ppp.MPPEOptional}
		if strings.Contains(name, "windows") {
			modes = append(modes, ppp.MPPERequired)
		}
		for _, mode := range modes {
			t.Run(filepath.Base(name), func(t *testing.T) { playPersona(t, name, mode) })
		}
	}
}

func playPersona(t *testing.T, name string, mode ppp.MPPEMode) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	r := newRaw(t, ppp.Config{
		Auth: []ppp.Method{ppp.MSCHAPv2}, MRU: 1400, Random: draws{},
		MPPE: ppp.MPPE{Mode: mode, Passive: strings.Contains(name, "l2tp")},
	})
	r.out = nil
	var played, heard []string
	for scanner := bufio.NewScanner(strings.NewReader(string(text))); scanner.Scan(); {
		kind, rest, _ := strings.Cut(scanner.Text(), " ")
		if kind == "<" {
			continue
		}
		played = append(played, scanner.Text())
		switch kind {
		case ">":
			f, err := hex.DecodeString(rest)
			if err != nil {
				t.Fatal(err)
			}
			heard = r.say(f)
		case "ack":
			heard = r.ack(map[string]wire.Protocol{"CCP": wire.CCP, "IPCP": wire.IPCP}[rest])
		case "up":
			heard = nil
			if up := r.up(); up == nil || up.Encryption != rest {
				t.Errorf("%s: %+v\n%s", scanner.Text(), up, strings.Join(played, "\n"))
			}
		}
		if kind == ">" || kind == "ack" {
			for _, answer := range heard {
				played = append(played, "< "+answer)
			}
		}
	}
	for _, event := range r.all {
		if a, ok := event.(ppp.Authenticate); ok && !a.Proof.Verify(goodGrant.Password) {
			t.Error("the client's proof, which OpenSSL has computed, is not right")
		}
	}
	if !r.closed() {
		t.Error("the client's good-bye does not end the link")
	}
	got := strings.Join(played, "\n") + "\n"
	if mode == ppp.MPPERequired {
		return // answers of IPCP come later; what is agreed is the same
	}
	if *writePersonas {
		if err := os.WriteFile(name, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got != string(text) && !*writePersonas {
		t.Errorf("%s:\n%s\nwant\n%s", name, got, text)
	}
}
