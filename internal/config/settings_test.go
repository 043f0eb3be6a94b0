package config

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Settings laid over their base configuration give the same configuration again.
func TestSettings(t *testing.T) {
	base := Default()
	if s := base.Settings(base); len(s) != 0 {
		t.Errorf("nothing is set, but %v", s)
	}
	now := base
	now.Services.PPTP = false
	now.PPP.Authentication = []string{"mschapv2", "pap"}
	now.PPP.MPPE, now.PPP.EchoInterval, now.PPP.EchoFailures, now.PPP.CHAPInterval = "required", 90*time.Second, 0, time.Hour
	now.Time = Time{Servers: []string{"ntp.example.net", "192.0.2.1:123"}, Interval: 10 * time.Minute, MaxOffset: 1500 * time.Millisecond}
	one, last := netip.MustParseAddr("10.98.0.1"), netip.MustParseAddr("10.98.0.9")
	now.Network.Pool, now.Network.DNS, now.Network.WINS = []Range{{one, last}}, []netip.Addr{one}, []netip.Addr{last}
	now.Network.Pools = map[string]Pool{"true": {Addresses: []Range{{last.Next(), last.Next()}}, DNS: []netip.Addr{}, WINS: []netip.Addr{one}}}
	now.PPP.MutualPAP = MutualPAP{User: "vpn: {#}", Password: "\"quoted\"\t\u2028, null & ünï"}
	s := now.Settings(base)
	want := []string{
		"network.dns", "network.pool", "network.pools", "network.wins",
		"ppp.authentication", "ppp.chap_interval", "ppp.echo_failures", "ppp.echo_interval", "ppp.mppe", "ppp.mutual_pap", "services.pptp",
		"time.interval", "time.max_offset", "time.servers",
	}
	if diff := cmp.Diff(want, s.Keys()); diff != "" {
		t.Error(diff)
	}
	for key, text := range map[string]string{"services.pptp": "false", "ppp.authentication": "[mschapv2, pap]", "ppp.echo_interval": "1m30s", "network.pool": "[10.98.0.1-10.98.0.9]"} {
		if s[key] != text {
			t.Errorf("%s is %q, want %q", key, s[key], text)
		}
	}
	got, err := base.With(s)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(now, got, cmp.Comparer(func(a, b Config) bool { return len(a.Settings(b)) == 0 })); diff != "" {
		t.Error(diff)
	}
	for _, text := range []string{"", "null", "~", "true", "0x10", "a\nb", "- x", "'", "\x7f\u0085"} {
		now.PPP.MutualPAP = MutualPAP{User: text, Password: text}
		if got, err := base.With(now.Settings(base)); err != nil || got.PPP.MutualPAP != now.PPP.MutualPAP {
			t.Errorf("%q becomes %q, %v", text, got.PPP.MutualPAP, err)
		}
	}
}

// Settings are checked by the rules of the file, and all faults are reported.
func TestSettingsRules(t *testing.T) {
	_, err := Default().With(Settings{
		"ppp.mppe": "always", "ppp.echo_interval": "5", "ppp.authentication": "[pap, pap]", "services.pptp": "maybe", "ppp.mru": "9", "services.sstp": "true",
	})
	faults, ok := err.(Faults) //nolint:errorlint // With returns it bare
	if !ok {
		t.Fatalf("%v", err)
	}
	text := faults.Error()
	for _, want := range []string{
		"ppp.mppe: \"always\" is not one of", "ppp.echo_interval: \"5\" has no unit", "ppp.authentication: pap is listed twice", "services.pptp: \"maybe\" is neither",
		"ppp.mru: 9", "services.sstp: unknown key",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in:\n%s", want, text)
		}
	}
	base := Default()
	base.PPP.Authentication = []string{"pap"}
	if _, err := base.With(Settings{"ppp.mppe": "required"}); err == nil || !strings.Contains(err.Error(), "ppp.mppe: MPPE gets its keys only from MS-CHAP") {
		t.Errorf("%v", err)
	}
}
