package guide_test

import (
	"strings"
	"testing"
	"vpnd/mgmt/guide"
)

var (
	server = guide.Server{
		Address: "vpn.example.net", PPTP: true, L2TP: true, Authentication: []string{"mschapv2", "chap", "pap"}, MPPE: "optional",
	}
	anna = guide.Person{Name: "anna", Password: true, PPTP: true, L2TP: true}
)

func page(t *testing.T, client string, s guide.Server, p guide.Person) (guide.Page, string) {
	t.Helper()
	got, err := guide.Connect(client, s, p)
	if err != nil {
		t.Fatal(err)
	}
	return got, got.Text()
}

func TestConnect(t *testing.T) {
	token, must := anna, anna
	token.Password, token.MOTP = false, true
	must.IPsecMust = true
	quoted := anna
	quoted.Name = "o'neil & co"
	off, secret, required, pap, nowhere := server, server, server, server, server
	off.PPTP, secret.TunnelSecret, required.MPPE, pap.Authentication, nowhere.Address = false, true, "maximum", []string{"pap"}, ""
	for _, c := range []struct {
		client string
		s      guide.Server
		p      guide.Person
		ways   int
		want   []string // in the text
		never  []string
	}{
		{"windows", server, anna, 2, []string{
			"Add-VpnConnection -Name 'vpnd PPTP' -ServerAddress 'vpn.example.net' -TunnelType Pptp -AuthenticationMethod MSChapv2 -EncryptionLevel Required -Force",
			"Add-VpnConnection -Name 'vpnd L2TP' -ServerAddress 'vpn.example.net' -TunnelType L2tp -AuthenticationMethod MSChapv2 -EncryptionLevel Optional",
			"-Name ProhibitIpSec -PropertyType DWord -Value 1", "AssumeUDPEncapsulationContextOnSendRule", "rasdial 'vpnd PPTP' 'anna' *", "\n691  ", "does not offer IPsec yet",
		}, []string{"Each one-time password"}},
		{"windows", required, token, 2, []string{"-EncryptionLevel Maximum", "Each one-time password works for one log-in", "code that the mOTP token shows", "so the server refuses them there. Use PPTP"}, nil},
		{"windows", pap, quoted, 2, []string{"-AuthenticationMethod Pap -EncryptionLevel Optional", "rasdial 'vpnd PPTP' 'o''neil & co' *"}, []string{"MSChapv2"}},
		{"windows", off, must, 0, []string{"The server has PPTP turned off", "policy is Must", "This client cannot connect"}, []string{"-TunnelType"}},
		{"windows", nowhere, anna, 2, []string{"-ServerAddress 'SERVER'"}, nil},
		{"smart-vpn", server, token, 1, []string{"Mobile One-Time", "vpnd user motp anna --secret -", "\n806  "}, nil},
		{"macos", server, anna, 1, []string{"no PPTP since 10.12", "l2tpnoipsec"}, []string{"691"}},
		{"macos", secret, anna, 1, []string{"does not support L2TP tunnel secrets"}, nil},
		{"ios", server, anna, 0, []string{"cannot connect", "This client cannot connect"}, nil},
		{"android", server, anna, 1, []string{"Android 12 and later accept no new profiles", "tick PPP encryption"}, nil},
		{"android", off, anna, 0, []string{"This client cannot connect"}, nil},
		{"linux", server, anna, 5, []string{
			"vpn-type pptp vpn.data 'gateway=vpn.example.net, user=anna, password-flags=2, require-mppe-128=yes, refuse-pap=yes, refuse-chap=yes, refuse-mschap=yes, refuse-eap=yes'",
			"ipsec-enabled=no", "sudo vpnd dial vpn.example.net --type pptp --user anna --mppe --route default", "require-mppe-128 pty \"pptp vpn.example.net --nolaunchpppd\"",
		}, []string{"--motp-file"}},
		{"linux", secret, token, 5, []string{"--type l2tp --user anna --motp-file FILE --secret-file FILE"}, nil},
		{"linux", server, quoted, 5, []string{`--user 'o'\''neil & co'`}, nil},
	} {
		got, text := page(t, c.client, c.s, c.p)
		if len(got.Ways) != c.ways {
			t.Errorf("%s: %d ways, want %d:\n%s", c.client, len(got.Ways), c.ways, text)
		}
		for _, want := range c.want {
			if !strings.Contains(text, want) {
				t.Errorf("%s: %q is not in\n%s", c.client, want, text)
			}
		}
		for _, never := range c.never {
			if strings.Contains(text, never) {
				t.Errorf("%s: %q is in\n%s", c.client, never, text)
			}
		}
	}
	if _, err := guide.Connect("beos", server, anna); err == nil || !strings.Contains(err.Error(), "one of windows, smart-vpn, macos, ios, android, linux") {
		t.Errorf("%v", err)
	}
}

// The error numbers that people ask about are complete and in order.
func TestNumbers(t *testing.T) {
	before, all := "", map[string]bool{}
	for _, n := range guide.Numbers("") {
		if n.Says == "" || n.Meaning == "" || n.Fix == "" || n.Number <= before {
			t.Errorf("%+v after %s", n, before)
		}
		before, all[n.Number] = n.Number, true
	}
	for _, want := range []string{"619", "628", "691", "734", "742", "789", "809"} {
		if !all[want] {
			t.Errorf("%s is missing", want)
		}
	}
}
