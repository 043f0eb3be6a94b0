package guide

import "vpnd/internal/reason"

// Attempt is what the history says of a dial-in.
type Attempt struct {
	User   string // "": not known
	Type   string // PPTP, L2TP, L2TP/IPsec
	Reason reason.Reason
}

// Advice is what a reason means, and how to fix it.
type Advice struct {
	Meaning string
	Fix     string // with commands; "": there is nothing to fix
	OnPage  []Part // Fix, with links for commands
}

// For gives the advice for an attempt; false: nothing is known of its reason.
func For(a Attempt) (Advice, bool) {
	row, ok := a.Reason.Advice(a.Type)
	if !ok {
		return Advice{}, false
	}
	advice := Advice{Meaning: row.Means}
	advice.Fix, advice.OnPage = said(row.Fix, a.User)
	return advice, true
}
