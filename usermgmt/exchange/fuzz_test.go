package exchange_test

import (
	"bytes"
	"errors"
	"testing"
	"vpnd/usermgmt"
	"vpnd/usermgmt/exchange"
)

// fuzz checks that any file gets an answer: edits that can be tried, with each record as a user,
// skipped or a fault. Further seeds are in testdata.
func fuzz(f *testing.F, format exchange.Format, seeds ...string) {
	f.Helper()
	for _, text := range seeds {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := exchange.Read(format, data, func(string) ([]byte, error) { return []byte("geheim # of a file\n"), nil })
		lines := 1 + bytes.Count(data, []byte("\n")) + bytes.Count(data, []byte("\r"))
		for _, e := range c.Edits {
			p := usermgmt.New(e.Name)
			if e.Line < 1 || e.Line > lines || e.Change(&p) == nil && p.Name != e.Name {
				t.Errorf("line %d, %+v", e.Line, p)
			}
		}
		told := append(c.Skipped, c.Notes...)
		for _, e := range flat(err) {
			at := (*exchange.LineError)(nil)
			if !errors.As(e, &at) {
				t.Fatal(e)
			}
			told = append(told, at)
		}
		for _, e := range told {
			if e.Line < 0 || e.Line > lines || e.Text == "" {
				t.Errorf("%+v", e)
			}
		}
		if c.Records > len(c.Edits)+len(c.Skipped)+len(flat(err)) {
			t.Errorf("%d records, %d users, %d skipped, %v", c.Records, len(c.Edits), len(c.Skipped), err)
		}
		exchange.Guess("x", data)
	})
}

func FuzzCSV(f *testing.F) {
	fuzz(f, exchange.CSV, "name,password\nanna,x\n", "sep=;\nname;password\nanna;\"x\ny\"\n;\n", "name\tpassword\t\nanna\t#x\n")
}

func FuzzYAML(f *testing.F) {
	fuzz(f, exchange.YAML, "users:\n- name: anna\n  dial-in: [pptp]\n", "- {name: anna, password: x}\n")
}

func FuzzChapSecrets(f *testing.F) {
	fuzz(f, exchange.ChapSecrets, "anna * \"x\\x4\" 10.0.0.1\n", "\\", "a b \\x", "a pptpd @/x * 10/20\na l2tpd @/x *", "a b c#d\\\n e -- f")
}

func FuzzMPDSecret(f *testing.F) {
	fuzz(f, exchange.MPDSecret, "bob \"akd\\\"ix23\" 192.168.1.100\n", "greg \"!/bin/pw\"\\\n", "a \\x41\\101")
}

func FuzzPPPSecret(f *testing.F) {
	fuzz(f, exchange.PPPSecret, "erik Summer-26 10.0.0.1 label 123\n", "a \"b c\"#d\n* x\n", "a \\")
}

func FuzzNPPPDUsers(f *testing.F) {
	fuzz(f, exchange.NPPPDUsers, "carl:\\\n\t:password=W\\072x:\\\n\t:framed-ip-address=10.0.0.1:\n", "a:tc=b:", "a|b:password=^A:")
}

func FuzzRouterOS(f *testing.F) {
	fuzz(f, exchange.RouterOS, "/ppp secret\nadd name=a password=\"x\\\n    \\_\\41\" service=any\n", "/ppp/secret/add name=a password={[b]};add", "/ppp\nsecret\nset [ find name=a ]\n..")
}

func FuzzPfSense(f *testing.F) {
	fuzz(f, exchange.PfSense, "<pfsense><l2tp><user><name>a</name><ip/><password>x</password></user></l2tp></pfsense>", "<pptpd><user></pptpd>")
}

// FuzzDecode checks that the result is UTF-8 or a fault.
func FuzzDecode(f *testing.F) {
	for _, text := range []string{"name\n", "\xff\xfen\x00", "\xef\xbb\xbfname", "Gr\xfcn\n"} {
		f.Add("", []byte(text))
		f.Add("windows-1252", []byte(text))
	}
	f.Fuzz(func(t *testing.T, encoding string, data []byte) {
		text, err := exchange.Decode(encoding, data)
		if err == nil && (!bytes.Equal(text, bytes.ToValidUTF8(text, nil)) || bytes.HasPrefix(text, []byte("\ufeff"))) {
			t.Errorf("%q became %q", data, text)
		}
	})
}
