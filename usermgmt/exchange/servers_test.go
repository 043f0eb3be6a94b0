package exchange_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"vpnd/usermgmt/exchange"

	"github.com/google/go-cmp/cmp"
)

// told gives the texts of lines with their numbers.
func told(list []*exchange.LineError) (lines []string) {
	for _, e := range list {
		lines = append(lines, fmt.Sprintf("%d %s", e.Line, e.Text))
	}
	return lines
}

// begins reports whether each text of got begins with that of want.
func begins(got, want []string) bool {
	return slices.EqualFunc(got, want, strings.HasPrefix)
}

// TestServers reads examples from manuals of other servers and from real files. Each file gives its
// users. All other parts are reported.
func TestServers(t *testing.T) {
	for _, c := range []struct {
		format      exchange.Format
		name, file  string
		users, told []string // told: skipped parts, then notes
	}{
		{
			format: exchange.ChapSecrets, name: "/etc/ppp/chap-secrets",
			file: `# Secrets for authentication using CHAP
# client	server	secret			IP addresses
anna	*	"two words"	10.99.0.20   # a remark
ben     vpnd    "sec#ret"  *
"carl"  pptpd   'it is "so"' \
        *
dora * a\\b\"\ c\x41\101\s 10.99.0.21 -- mtu 1400

emil	* pa"# "ss\#1\
2 10.99.0.22/32
fred xl2tpd @Home2020 *# laptop
 gina * \
 "x
y" *
hans * p#q
ida * @/etc/ida *`,
			users: []string{
				"anna password=two words address=10.99.0.20", "ben password=sec#ret", `carl password=it is "so" dial-in=pptp`, `dora password=a\b" cAA  address=10.99.0.21`,
				"emil password=pa# ss#12 address=10.99.0.22", "fred password=@Home2020 dial-in=l2tp", "hans password=p", "ida password=geheim",
			},
			told: []string{`7 "dora": ignored pppd's options`, `15 "hans": the secret ends before #`},
		},
		{
			format: exchange.ChapSecrets, name: "chap-secrets.old", // OpenWrt, and one server next to another
			file:  "anna\tpptp-server\tWinter26\t*\nanna\tpptp-server\tWinter26\t*\nben pptpd x *\nben l2tpd x\ncarl pptpd x *\ncarl * x *\n",
			users: []string{"anna password=Winter26 dial-in=pptp", "ben password=x", "carl password=x"},
			told:  []string{`2 "anna" is in line 1 already`, `4 "ben" is in line 3 already`, `6 "carl" is in line 5 already`},
		},
		{
			format: exchange.ChapSecrets, name: "pap-secrets", // accel-ppp
			file: "anna\t*\tx\t10.99.0.20\t10240/2048\nben * x * 5000\ncarl * abJnggxhB/yWI *\ndora * $5 *\n",
			users: []string{
				"anna password=x address=10.99.0.20 up-limit=2048k down-limit=10240k", "ben password=x up-limit=5M down-limit=5M", "carl password=abJnggxhB/yWI", "dora password=$5",
			},
			told: []string{`3 "carl": the secret has 13 characters`},
		},
		{
			format: exchange.MPDSecret, name: "mpd.secret",
			file: "# remark\n  # another\nanna \"akd\\\"ix23\" 192.168.1.100\nben 33#dk\\x41\\101\\\n   192.168.1.101/32\n\"carl\"\t\"a b\"\n" +
				"dora \\sa\\ 10.99.0.21\nemil x\\ 10.99.0.20\n\"fred\"a\"b\\\"\n",
			users: []string{
				`anna password=akd"ix23 address=192.168.1.100`, "ben password=33#dkAA address=192.168.1.101", "carl password=a b", "dora password= a address=10.99.0.21", "emil password=x address=10.99.0.20",
				`fred password=a"b"`,
			},
		},
		{
			format: exchange.PPPSecret, name: "/etc/ppp/ppp.secret",
			file:  "# Authname Authkey Peer's-IP Label Callback\nanna Summer-26 10.99.0.20\nben \"a b\\\" #c\" * work *\ncarl x\\\\y #z\n",
			users: []string{"anna password=Summer-26 address=10.99.0.20", `ben password=a b" #c`, `carl password=x\y`},
			told:  []string{`3 "ben": ignored label`},
		},
		{
			format: exchange.NPPPDUsers, name: "users",
			file: "# $OpenBSD$\nanna:\\\n\t:password=a\\072b\\c\\\\:\\\n\t:framed-ip-address=10.99.0.20:\\\n\t:framed-ip-netmask=255.255.255.255:\nben:password=two words :calling-number=1:\n" +
				"carl:password=\\x41\\C\\z:password=other:\n",
			users: []string{`anna password=a:b:\ address=10.99.0.20`, "ben password=two words ", "carl password=x41:z"},
			told:  []string{`6 "ben": ignored calling-number`},
		},
		{
			format: exchange.RouterOS, name: "backup",
			file: `# 2026-11-28 10:00:00 by RouterOS 7.16
# software id = AAAA-BBBB
/interface l2tp-client
add connect-to=192.0.2.1 name=l2tp-out1 password=other user=other
/ppp profile
add name=staff on-up=":local nama \"\$user\";\r\
    \n/ppp secret add name=evil password=x"
/ppp l2tp-secret
add
/ppp secret
add name=anna password=Winter-26 profile=default-encryption service=l2tp
add comment="Ben's \"laptop\":\
    \_new" disabled=yes name=ben password="!secret 4\\\$\20\E2\82\AC" remote-address=\
    10.99.0.20
add name=carl password=x service=pppoe
add caller-id=203.0.113.9 local-address=10.99.0.1 name=dora password=x profile=staff \
    routes=10.1.0.0/16 service=any
/system script
add name=s source={
/ppp secret
add name=evil password=x
}
`,
			users: []string{
				"anna password=Winter-26 dial-in=l2tp", `ben enabled=no password=!secret 4\$ € address=10.99.0.20 comment=Ben's "laptop": new`,
				"dora password=x remote-node=203.0.113.9",
			},
			told: []string{`15 "carl" is for the service pppoe`, `16 "dora": ignored: profile, routes`},
		},
		{
			format: exchange.RouterOS, name: "export.rsc",
			file: "/ip address add address=10.0.0.1/24 interface=ether1\r\n/ppp secret add name=\"anna\" password=\"12345\" service=pptp\r\n/ppp/secret/add name=ben password=x ; /ppp aaa set use-radius=yes\r\n" +
				"[admin@MikroTik] > /ppp/secret/add name=carl password=x\r\n/ppp\r\nsecret\r\n:delay 1\r\nadd password=x name=dora\r\n" +
				"/pp se add name=emil password=x\r\n/ip pool\r\n[admin@MikroTik] /ppp/secret> add name=fred password=x\r\n[admin@MikroTik] /ppp secret> add name=hans password=x\r\n",
			users: []string{
				"anna password=12345 dial-in=pptp", "ben password=x", "carl password=x", "dora password=x", "emil password=x", "fred password=x", "hans password=x",
			},
		},
		{
			format: exchange.PfSense, name: "config.xml",
			file: "<?xml version=\"1.0\" encoding=\"iso-8859-1\"?>\n<pfsense>\n<system><user><name>admin</name><password>no</password></user></system>\n<l2tp>\n<mode>server</mode>\n<user>\n<name>anna</name>\n<ip>10.99.0.20</ip>\n" +
				"<password><![CDATA[a&b]]></password>\n</user>\n<user><name>ben</name><ip/><password>x</password></user></l2tp>\n<pptpd><user><name>ben</name><password>x</password></user></pptpd></pfsense>\n",
			users: []string{"anna password=a&b dial-in=l2tp address=10.99.0.20", "ben password=x"},
			told:  []string{`12 "ben" is in line 11 already`},
		},
	} {
		if got := exchange.Guess(c.name, []byte(c.file)); got != c.format {
			t.Errorf("%s is taken for %q, want %q", c.name, got, c.format)
		}
		open := func(path string) ([]byte, error) {
			if path != "/etc/ida" {
				return nil, errors.New("no such file")
			}
			return []byte("# remark\n'geheim' x\n"), nil
		}
		content, err := exchange.Read(c.format, []byte(c.file), open)
		must(t, err)
		if i := slices.Index(edited(content), "gina"); i >= 0 { // her password has a line end, which the table refuses
			content.Edits = slices.Delete(content.Edits, i, i+1)
		}
		if diff := cmp.Diff(c.users, imported(t, content)); diff != "" {
			t.Errorf("%s: %s", c.format, diff)
		}
		if got := append(told(content.Skipped), told(content.Notes)...); !begins(got, c.told) {
			t.Errorf("%s: %q, want %q", c.format, got, c.told)
		}
	}
}

func edited(c exchange.Content) (names []string) {
	for _, e := range c.Edits {
		names = append(names, e.Name)
	}
	return names
}

// TestServerFaults checks that each unreadable user is reported with its line, and without secrets.
func TestServerFaults(t *testing.T) {
	for _, c := range []struct {
		format exchange.Format
		file   string
		want   []string
		edits  int
	}{
		{
			exchange.ChapSecrets, "anna\n* * geheim *\nben * @/file\ncarl * geheim 10.0.0.1 10.0.0.2\ndora * geheim -\nemil * geheim 10.0.0.0/8\nfred * geheim\n",
			[]string{"1 a line has client", "2 the client *", "3 the secret is in the file /file", "4 a user of vpnd has one", "5 the address -", "6 a user of vpnd has one"},
			1,
		},
		{exchange.ChapSecrets, "anna * geheim\nben * \"geheim\ncarl * geheim\n", []string{"2 a quote is not closed"}, 1},
		{
			exchange.ChapSecrets, "anna geheim 10.99.0.100\nben \"geheim\" 10.99.0.101/32\ncarl geheim *\ndora * \"\" *\n",
			[]string{"1 an address is where the secret belongs", "2 an address", "3 an address", `4 "dora" has no password`},
			0,
		},
		{
			exchange.ChapSecrets, "anna pptpd geheim *\nanna l2tpd geheim2 *\nanna pptpd geheim 10.99.0.20\n",
			[]string{`2 "anna" is in line 1 with another password`, `3 "anna" is in line 1 with another address`},
			1,
		},
		{
			exchange.MPDSecret, "anna\nben geheim 10.0.0.0/25\n* geheim\ncarl \"!/bin/geheim\"\ndora geheim 10.0.0.1 x\nemil 10.0.0.1\n",
			[]string{"1 a line has name", "2 a user of vpnd has one", "3 the name *", `4 a program supplies the password of "carl"`, "5 a line has name", "6 an address"},
			0,
		},
		{
			exchange.PPPSecret, "anna *\nben geheim 10.0.0.1-10.0.0.9\ncarl * 10.0.0.1\ndora * *\nemil \"geheim\nfred \"geheim", []string{
				`1 the password of "anna"`, "2 a user of vpnd has one", `3 the password of "carl"`, `4 the password of "dora"`, "5 a quote is not closed", "6 a quote is not closed",
			}, 0,
		},
		{exchange.ChapSecrets, "anna * @login *\nben * $6$geheim$geheim *\ncarl * \"$2y$geheim\"\ndora * _geheimgeheimgeheim1 *\n", []string{
			`1 the password of "anna" is that of a system user`, `2 the password of "ben" is a hash`, `3 the password of "carl" is a hash`, `4 the password of "dora" is a hash`,
		}, 0},
		{exchange.NPPPDUsers, "anna\nben|b:password=geheim:\ncarl:tc=x:\ndora:framed-ip-address=x:\nemil::\nfred:password=ge:geheim:\n", []string{
			"1 this is not a user", "2 this is not a user", `3 "carl": the field tc`, `4 "dora": framed-ip-address`, `5 "emil" has no password`, `6 "fred": a field has no =`,
		}, 0},
		{exchange.RouterOS, "/ppp secret\nadd name=anna service=l2tp\nadd password=geheim\nset [find name=x] password=geheim\nfoo\nadd name=ben password=geheim service=x\nadd name=carl password=geheim caller-id=00:11:22:33:44:55\nadd name=dora password=\"geheim\nadd name=emil password=geheim\n", []string{
			`2 "anna" has no password here: export with show-sensitive`, "3 the name is missing", "4 set changes", `5 "foo" is not a known command`, `6 "ben": the service "x"`, `7 "carl": caller-id`, "8 a quote or a bracket",
		}, 0},
		{exchange.RouterOS, "/ppp secret\nadd name=anna password=$geheim\nadd name=ben password=\"a $geheim\"\nadd name=carl password=[:rndstr length=12]\nadd name=dora password=(\"geheim\" . $x)\n" +
			"add name=emil password={geheim;x}\nadd name=fred password=ge heim\nadd name=(\"u\" . 1) password=geheim\nadd name=\"hans\" password=\"\\$x[1]{2}(3)\"\n", []string{
			`2 "anna": the value of password is a variable`, `3 "ben": the value of password`, `4 "carl": the value of password`, "5 a word after add", `6 "emil": the value of password`,
			"7 a word after add", "8 a word after add",
		}, 1},
		{exchange.RouterOS, "/ppp secret add name=anna password=geheim\n:if ($x = 1) do={ /ppp secret add name=ben password=geheim }\n:foreach i in={1;2} do={/ppp/secret/add name=$i}\n" +
			"{\n/ppp secret\nadd name=carl password=geheim\n}\n/ppp secret { add name=dora password=geheim }\n/ppp secret\n:do { add name=emil password=geheim } on-error={}\n" +
			":foreach i in=[find] do={set $i password=geheim}\n:foreach i in=[find name=x] do={:put $i}\n:local s [get 0 name]\n/ip address\n:do { add address=10.0.0.1/24 } on-error={}\n", []string{
			"2 a script adds or changes users", "3 a script", "4 a script", "8 a script", "10 a script", "11 a script",
		}, 1},
		{exchange.RouterOS, "/ip address\nadd address=10.0.0.1/24\n", []string{`0 this export has no "/ppp secret add"`}, 0},
		{exchange.PfSense, "<pfsense><l2tp>\n<user><name>anna</name></user>\n<user><name>ben</name><password>geheim</password><ip>x</ip></user>\n<x>\n</pfsense>", []string{
			`2 "anna" has no password`, `3 "ben": "x" is not an address`, "5 this is not XML",
		}, 0},
		{exchange.PfSense, "<pfsense><l2tp><user><name>anna</name><password>x&geheim</password></user></l2tp></pfsense>", []string{"1 this user cannot be read: an & is not written"}, 0},
		{exchange.PfSense, "<pfsense></pfsense>", []string{"0 this config.xml has no user of an L2TP or PPTP server"}, 0},
	} {
		content, err := exchange.Read(c.format, []byte(c.file), nil)
		var got []string
		for _, e := range flat(err) {
			at := (*exchange.LineError)(nil)
			if !errors.As(e, &at) {
				t.Fatal(e)
			}
			got = append(got, fmt.Sprintf("%d %s", at.Line, at.Text))
		}
		if !begins(got, c.want) || len(content.Edits) != c.edits || strings.Contains(strings.Join(got, ""), "geheim") {
			t.Errorf("%q: %d edits, %q, want %q", c.file, len(content.Edits), got, c.want)
		}
	}
}

// TestGuess checks that Guess gives no format if the words of a file could have another one.
func TestGuess(t *testing.T) {
	for name, want := range map[string]exchange.Format{
		"x": "", "-": "", "l2tp-secrets": "", "users.txt": "", "Chap-Secrets~": exchange.ChapSecrets, "a.CSV": exchange.CSV, "a.yml": exchange.YAML, "/usr/local/etc/mpd5/mpd.secret": exchange.MPDSecret,
		"ppp.secret.bak": exchange.PPPSecret, "npppd-users": exchange.NPPPDUsers, "a.rsc": exchange.RouterOS,
	} {
		for _, text := range []string{"anna * x 10.0.0.1\n", "anna\tx\t10.0.0.1\n", "hello\n", "", "anna Cleartext-Password := \"x\"\n", "add name=anna password=x\n"} {
			if got := exchange.Guess(name, []byte(text)); got != want {
				t.Errorf("%s with %q is taken for %q", name, text, got)
			}
		}
	}
}

func TestDecode(t *testing.T) {
	for _, c := range []struct{ encoding, data, want string }{
		{"", "\ufeffGrün\n", "Grün\n"},
		{"", "\xff\xfeG\x00r\x00\xfc\x00\n\x00", "Grü\n"},
		{"", "\xfe\xff\x00G\x00r\x00\xfc\x00\n", "Grü\n"},
		{"utf-16le", "\xff\xfe\xfc\x00", "ü"},
		{"utf-16be", "\x00\xfc", "ü"},
		{"Windows-1252", "Gr\xfcn \x80", "Grün €"},
		{"cp850", "\x81", "ü"},
		{"macintosh", "name,password\ranna,\x8a\r", "name,password\nanna,ä\n"},
		{"", "name,password\r\nanna,\"x\ry\"\r\n", "name,password\r\nanna,\"x\ry\"\r\n"},
	} {
		if got, err := exchange.Decode(c.encoding, []byte(c.data)); string(got) != c.want || err != nil {
			t.Errorf("%s %q: %q, %v", c.encoding, c.data, got, err)
		}
	}
	for _, c := range []struct{ encoding, data, want string }{
		{"", "name\nGr\xfcn\n", "2 this is not UTF-8. Excel and Notepad in Western"},
		{"utf-8", "Gr\xfcn\n", "1 this is not UTF-8"},
		{"", "n\x00a\x00\n", "1 a byte 0 is here: the file is not text, or UTF-16"},
		{"windows-1252", "name\n\x81\n", "2 this is not windows-1252"},
		{"ebcdic", "", `0 the encoding "ebcdic" is unknown: use one of cp437, `},
	} {
		_, err := exchange.Decode(c.encoding, []byte(c.data))
		at := &exchange.LineError{Text: fmt.Sprint(err)}
		errors.As(err, &at)
		if got := fmt.Sprintf("%d %s", at.Line, at.Text); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s %q: %s", c.encoding, c.data, got)
		}
	}
}
