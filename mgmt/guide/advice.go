package guide

import "regexp"

// Attempt is what the history says of a dial-in.
type Attempt struct {
	User   string // "": not known
	Type   string // PPTP, L2TP, L2TP/IPsec
	Reason string // of a refusal, or of a connection's end
}

// Advice is what a reason means, and what to do.
type Advice struct {
	Cause  string
	Cure   string // with commands; "": there is nothing to do
	OnPage []Part // Cure, with links for commands
}

// A rule gives the advice for the reasons that match it as a whole. The cause may quote groups of it, and the cure may hold deeds.
type rule struct {
	reason      *regexp.Regexp
	kind        string // of dial-in that it holds for; "": all
	cause, cure string
}

func when(reason, cause, cure string) rule {
	return rule{regexp.MustCompile(`^(?:` + reason + `)$`), "", cause, cure}
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
			advice := Advice{Cause: string(r.reason.ExpandString(nil, r.cause, a.Reason, at))}
			advice.Cure, advice.OnPage = said(r.cure, a.User)
			return advice, true
		}
	}
	return Advice{}, false
}
