package guide

import "regexp"

// Attempt is what the history says of a dial-in.
type Attempt struct {
	Type   string // PPTP, L2TP, L2TP/IPsec
	Reason string // of a refusal, or of a connection's end
}

// Advice is what a reason means, and what to do.
type Advice struct {
	Cause string
	Cure  string // "": there is nothing to do
}

// A rule gives the advice for the reasons that match it as a whole; the advice may quote groups of it.
type rule struct {
	reason *regexp.Regexp
	kind   string // of dial-in that it holds for; "": all
	Advice
}

func when(reason, cause, cure string) rule {
	return rule{regexp.MustCompile(`^(?:` + reason + `)$`), "", Advice{cause, cure}}
}

// only is when for one type of dial-in.
func only(kind, reason, cause, cure string) rule {
	r := when(reason, cause, cure)
	r.kind = kind
	return r
}

// For gives the advice for an attempt; false: its reason is none that is known, such as a text that an
// administrator gave when he dropped a connection.
func For(a Attempt) (Advice, bool) {
	for _, rules := range [][]rule{accountRules, negotiationRules, endRules} {
		for _, r := range rules {
			at := r.reason.FindStringSubmatchIndex(a.Reason)
			if at == nil || r.kind != "" && r.kind != a.Type {
				continue
			}
			quote := func(text string) string { return string(r.reason.ExpandString(nil, text, a.Reason, at)) }
			return Advice{quote(r.Cause), quote(r.Cure)}, true
		}
	}
	return Advice{}, false
}
