package guide_test

import (
	"os"
	"strings"
	"testing"
	"vpnd/internal/reason"
	"vpnd/mgmt/guide"
)

// kinds are the types of dial-in.
var kinds = []string{"PPTP", "L2TP", "L2TP/IPsec"}

// sample is the reason of a row, with an argument for each placeholder.
func sample(row reason.Row) reason.Reason {
	r := reason.Reason{Code: row.Code}
	for i := range strings.Count(row.Text, "{") {
		r.Args[i] = "1"
	}
	return r
}

// Every reason has advice for each type of dial-in, with all arguments and tasks filled in.
func TestEveryReasonHasAdvice(t *testing.T) {
	for _, row := range reason.Table() {
		for _, kind := range kinds {
			advice, ok := guide.For(guide.Attempt{User: "anna", Type: kind, Reason: sample(row)})
			if !ok || advice.Meaning == "" || strings.ContainsAny(advice.Meaning+advice.Fix, "{}") {
				t.Errorf("%s by %s: %+v", row.Code, kind, advice)
			}
			for _, part := range advice.OnPage {
				if part.Text == "" {
					t.Errorf("%s by %s has a task that nobody knows: %q", row.Code, kind, row.Fix)
				}
			}
		}
	}
}

func TestAdviceIsPrecise(t *testing.T) {
	for _, c := range []struct {
		kind         string
		why          reason.Reason
		meaning, fix string
	}{
		{"PPTP", reason.New(reason.TokenClockOff, "", "7 minutes ahead"), "the token's clock is 7 minutes ahead.", "vpnd user resync"},
		{"PPTP", reason.New(reason.TokenClockOff, "1m0s", "10 minutes behind"), "the token's clock is 10 minutes behind.", "clock"},
		{"PPTP", reason.New(reason.OnlyPAP), "only PAP", "ppp.authentication"},
		{"L2TP", reason.New(reason.NoCommonAuth, "PAP, EAP"), "PAP, EAP", "MS-CHAPv2"},
		{"L2TP", reason.New(reason.IPsecRequired), "IPsec (policy Must)", "vpnd user set 'o'\\''neil' --ipsec none"},
		{"PPTP", reason.New(reason.NoLCPAnswer), "GRE", "protocol 47"},
		{"PPTP", reason.New(reason.NothingCame, "client closed the control connection"), "GRE", "protocol 47"},
		{"L2TP", reason.New(reason.NoLCPAnswer), "no packet came", "UDP 1701"},
		{"L2TP", reason.New(reason.MPPERefused), "over L2TP", "PPTP"},
		{"PPTP", reason.New(reason.MPPERefused), "did not agree", "require-mppe-128"},
		{"PPTP", reason.New(reason.PeerHungUp, `"User request"`), `The client hung up. "User request"`, ""},
		{"PPTP", reason.New(reason.AddressInUse, "10.99.0.7", "bob"), "10.99.0.7 is in use by bob", "another address"},
		{"PPTP", reason.New(reason.HookRefused, "exit status 1"), "does not let the user in (exit status 1)", "output"},
		{"PPTP", reason.New(reason.Dropped, "go home"), "An administrator", ""},
		{"L2TP", reason.New(reason.CallDisconnected, "result 3"), "The client ended the call", ""},
	} {
		advice, ok := guide.For(guide.Attempt{User: "o'neil", Type: c.kind, Reason: c.why})
		if !ok || !strings.Contains(advice.Meaning, c.meaning) || !strings.Contains(advice.Fix, c.fix) || c.fix == "" && advice.Fix != "" {
			t.Errorf("%s by %s: %+v", c.why.Code, c.kind, advice)
		}
	}
	for _, code := range []reason.Code{"", "of_a_later_version"} {
		if advice, ok := guide.For(guide.Attempt{Type: "PPTP", Reason: reason.New(code)}); ok {
			t.Errorf("%q: %+v", code, advice)
		}
	}
}

// docs/reasons.md is the table of reasons, and has a heading for each group.
func TestReasonsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/reasons.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(page) != guide.Reasons() {
		t.Error("docs/reasons.md is stale: run go generate ./mgmt/guide")
	}
	if n := strings.Count(string(page), "\n## "); n != 4 {
		t.Errorf("%d groups", n)
	}
}
