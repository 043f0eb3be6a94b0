package exchange_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"vpnd/internal/state"
	"vpnd/internal/state/sqlite"
	"vpnd/usermgmt"
	"vpnd/usermgmt/exchange"
	"vpnd/usermgmt/usertest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const secret = "f3a1c09d5be2478890aa1b2c3d4e5f60"

var addresses = cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newStore(t *testing.T) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), t.TempDir(), state.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

// full is the user for tests, with texts that a format of files may misread.
func full(name string) usermgmt.Profile {
	p := usertest.Full(name)
	p.Password, p.MOTPSecret, p.MOTPPIN = ` "p;a,s's' #wörd: yes `, secret, "0123"
	p.Pool, p.Group, p.Comment = "null", "0.5", `=1+1; "quoted", # no comment`
	return p
}

// TestRoundTrip exports users. It imports them elsewhere, and over existing users.
func TestRoundTrip(t *testing.T) {
	ctx := t.Context()
	from := newStore(t)
	must(t, from.Add(ctx, full("anna")))
	totp := usermgmt.New("123")
	totp.TOTPSecret, totp.MaxConnections = "GEZDGNBVGY3TQOJQ", 0
	must(t, from.Add(ctx, totp))
	want, err := from.List(ctx)
	must(t, err)
	for _, format := range []exchange.Format{exchange.CSV, exchange.YAML} {
		for _, secrets := range []bool{true, false} {
			var file bytes.Buffer
			must(t, exchange.Write(&file, format, want, secrets))
			for _, text := range []string{secret, "0123", "wörd", totp.TOTPSecret} {
				if strings.Contains(file.String(), text) != secrets {
					t.Errorf("%s, secrets %v: %q is in it, or is not", format, secrets, text)
				}
			}
			if got := exchange.Guess("-", file.Bytes()); got != format {
				t.Errorf("%s is taken for %q", format, got)
			}
			edits := read(t, format, file.String()).Edits
			to := newStore(t)
			how := usermgmt.How{Add: true}
			if !secrets {
				// The users exist, with other fields. They become as exported, but keep their
				// secrets.
				how.Change = true
				for _, p := range want {
					changed := p
					changed.Index, changed.Comment, changed.Enabled, changed.IPsec = p.Index+50, "another", !p.Enabled, usermgmt.IPsecNice
					changed.Address, changed.RemoteNode, changed.Schedule = netip.MustParseAddr(fmt.Sprintf("10.99.0.%d", 100+p.Index)), netip.Prefix{}, "Sun 10:00-11:00 UTC"
					changed.MaxConnections = 1
					must(t, to.Add(ctx, changed))
				}
			}
			_, err = to.Apply(ctx, edits, how)
			must(t, err)
			got, err := to.List(ctx)
			must(t, err)
			if diff := cmp.Diff(want, got, addresses); diff != "" {
				t.Errorf("%s, secrets %v: %s", format, secrets, diff)
			}
		}
	}
	if err := exchange.Write(&bytes.Buffer{}, exchange.ChapSecrets, want, true); !errors.Is(err, exchange.ErrFormat) {
		t.Errorf("chap-secrets: %v", err)
	}
	var none bytes.Buffer
	must(t, exchange.Write(&none, exchange.YAML, nil, false))
	if c := read(t, exchange.YAML, none.String()); len(c.Edits) != 0 {
		t.Errorf("nobody became %v in %q", c.Edits, none.String())
	}
}

// read reads a file, which must have no faults.
func read(t *testing.T, format exchange.Format, file string) exchange.Content {
	t.Helper()
	c, err := exchange.Read(format, []byte(file), nil)
	must(t, err)
	return c
}

// imported gives the users of a file as text.
func imported(t *testing.T, c exchange.Content) []string {
	t.Helper()
	s := newStore(t)
	_, err := s.Apply(t.Context(), c.Edits, usermgmt.How{Add: true})
	must(t, err)
	all, err := s.List(t.Context())
	must(t, err)
	var lines []string
	for _, p := range all {
		line := p.Name
		fresh := usermgmt.New(p.Name)
		for _, f := range usermgmt.Fields {
			if text := f.Get(&p); text != f.Get(&fresh) && f.Name != "index" {
				line += " " + f.Name + "=" + text
			}
		}
		lines = append(lines, line)
	}
	return lines
}

func TestRead(t *testing.T) {
	want := []string{"anna password=two words address=10.99.0.20 comment=on call", "ben enabled=no motp-secret=" + secret + " motp-pin=0012 dial-in=pptp"}
	for format, files := range map[exchange.Format][]string{
		exchange.CSV: {
			"name,password,motp-secret,motp-pin,address,comment,enabled,dial-in,idle-timeout\n" +
				"anna,two words,,,10.99.0.20,on call,yes,,\nben,," + secret + ",0012,,,no,pptp,300\n",
			"sep=;\r\nName; Password;motp-secret;motp-pin;address;comment;enabled;dial-in\r\n" +
				"anna;two words;;;10.99.0.20;on call;yes;\"pptp,l2tp\"\r\nben;;" + secret + ";0012;;;no;pptp\r\n",
			"name\tpassword\tmotp-secret\tmotp-pin\taddress\tcomment\tenabled\tdial-in\t\t\r\n\r\n" +
				"anna\ttwo words\t\t\t10.99.0.20\ton call\tyes\t\t\t\r\n\t\t\t\t\t\t\t\r\nben\t\t" + secret + "\t0012\t\t\tno\tpptp\r\n\t\r\n",
		},
		exchange.YAML: {
			"users:\n- name: anna\n  password: two words\n  address: 10.99.0.20\n  comment: on call\n  idle-timeout: 300\n" +
				"- {name: ben, motp-secret: " + secret + ", motp-pin: 0012, enabled: false, dial-in: [pptp], address: ~}\n",
			"- {name: anna, password: two words, address: 10.99.0.20, comment: on call, enabled: yes}\n" +
				"- {name: ben, motp-secret: " + secret + ", motp-pin: \"0012\", enabled: no, dial-in: pptp}\n",
			"---\nusers:\n- {name: anna, password: two words, address: 10.99.0.20, comment: on call}\n---\n---\n" +
				"users:\n- {name: ben, motp-secret: " + secret + ", motp-pin: 0012, enabled: no, dial-in: pptp}\n...\n",
		},
	} {
		for _, file := range files {
			c := read(t, format, file)
			if diff := cmp.Diff(want, imported(t, c)); diff != "" || c.Records != 2 {
				t.Errorf("%s: %d records: %s", format, c.Records, diff)
			}
			if got := exchange.Guess("users", []byte(file)); got != format {
				t.Errorf("%q is taken for %q", file, got)
			}
		}
	}
}

// TestFaults checks that every fault is reported with its line, and without secrets.
func TestFaults(t *testing.T) {
	for _, c := range []struct {
		format exchange.Format
		file   string
		want   []string
		edits  int
	}{
		{exchange.CSV, "", []string{"1 the header is missing"}, 0},
		{exchange.CSV, "anna,geheim\nben,geheim\n", []string{"1 the header has no column \"name\""}, 0},
		{exchange.CSV, "anna,geheim\rben,geheim\r", []string{"1 the header has no column \"name\""}, 0},
		{exchange.CSV, "name,password,colour,password\n", []string{`1 the field "colour"`, `1 the column "password" appears twice`}, 0},
		{exchange.CSV, "name,password\nanna\nben,geheim\n,geheim\ncarl,geheim,x\n", []string{"2 the line has 1 columns", "4 the name is missing", "5 the line has 3"}, 1},
		{exchange.CSV, "name,password\nanna,geheim\nben,\"geheim\ncarl,geheim\n", []string{"3 extraneous or missing"}, 1},
		{exchange.YAML, "users: [\n", []string{"1 this is not YAML"}, 0},
		{exchange.YAML, "hello\n", []string{"1 a list of users"}, 0},
		{exchange.YAML, "people:\n- name: anna\nusers:\n- name: ben\n", []string{`1 "people"`}, 1},
		{
			exchange.YAML, "- anna\n- name: ben\n  colour: red\n- password: geheim\n- name: carl\n  password: [geheim]\n  name: c\n- name: &a x\n- name: *a\n",
			[]string{"1 a user with name", `3 the field "colour"`, "4 the name is missing", "6 password: one value", `7 "name" appears twice`, "8 name: a value that begins with & or !", "9 name: one value"},
			0,
		},
		{exchange.YAML, "- name: anna\n  password: *geheim\n", []string{"0 this is not YAML: a value that begins with * needs quotes"}, 0},
		{exchange.YAML, "- {name: anna, password: !geheim x}\n- {name: ben, password: &geheim x}\n", []string{"1 password: a value that begins with & or !", "2 password: a value"}, 0},
		{exchange.YAML, "- {name: anna, password: !!binary Z2VoZWlt}\n- {name: ben, password: !!str geheim}\n", []string{"1 password: !!binary is not supported"}, 1},
		{exchange.YAML, "- {name: anna}\n---\n- {name: [\n", []string{"3 this is not YAML"}, 1},
		{exchange.YAML, "{\"users\": [{\"name\": \"anna\"}]}\n{\"users\": [{\"name\": \"ben\"}]}\n", []string{"1 this is not YAML"}, 1},
		{exchange.CSV, "sep=x\nname\n", []string{`1 "x" cannot separate columns`}, 0},
		{exchange.CSV, "name,password,,comment\nanna,x,geheim,\nben,x,,on call\n", []string{"2 column 3 has a value"}, 1},
		{exchange.CSV, "name,password\ranna,geheim\rben,\"geheim\n\"\r", []string{"1 the line contains line ends of a Macintosh"}, 0},
		{exchange.CSV, "name,password\n# geheim\n", []string{"2 the line has 1 columns"}, 0},
		{"xml", "", []string{"0 unknown format"}, 0},
	} {
		content, err := exchange.Read(c.format, []byte(c.file), nil)
		var got []string
		for _, e := range flat(err) {
			at := &exchange.LineError{Text: e.Error()}
			errors.As(e, &at)
			got = append(got, fmt.Sprintf("%d %s", at.Line, at.Text))
		}
		if len(got) != len(c.want) || len(content.Edits) != c.edits {
			t.Errorf("%q: %d edits, %q", c.file, len(content.Edits), got)
			continue
		}
		for i := range got {
			if !strings.HasPrefix(got[i], c.want[i]) || strings.Contains(got[i], "geheim") {
				t.Errorf("%q: %q, want %q", c.file, got[i], c.want[i])
			}
		}
	}
	c := read(t, exchange.CSV, "name,password,quota,address,enabled\nanna,geheim,much,here,maybe\n")
	_, err := newStore(t).Apply(t.Context(), c.Edits, usermgmt.How{Add: true})
	for _, want := range []string{"anna: ", "quota: ", "address: ", "enabled: "} {
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%v does not say %q", err, want)
		}
	}
}

// TestDoubts checks for notes about names and passwords that a spreadsheet or the reader has
// changed.
func TestDoubts(t *testing.T) {
	for file, want := range map[string][]string{
		"sep=;\nname;password\nanna;1,2E+10\n1E+12;x\nben;1.5e3\n":                                            {`3 "anna": the password looks like`, `4 "1E+12": the name looks like`},
		"name, password, comment\nanna, x, y\nben,\" x\", y\ncarl, \"x\",\ndora, ,\nemil,x y , z\n fred,x,\n": {`2 "anna": ignored spaces before the password`},
		"name\tpassword\nanna\t x\n":                   nil,
		"password,name\n geheim,anna\n\"a\nb\", ben\n": {`2 "anna": ignored spaces before`},
	} {
		if got := told(read(t, exchange.CSV, file).Notes); !begins(got, want) || strings.Contains(strings.Join(got, ""), "geheim") {
			t.Errorf("%q: %q, want %q", file, got, want)
		}
	}
}

func flat(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	if err == nil {
		return nil
	}
	return []error{err}
}
