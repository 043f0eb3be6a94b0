package guide

import "vpnd/internal/reason"

// Attempt is a dial-in from the history.
type Attempt struct {
	User   string // "": not known
	Type   string // PPTP, L2TP, L2TP/IPsec
	Reason reason.Reason
}

// Advice is the meaning of a reason, and the fix.
type Advice struct {
	Meaning string
	Fix     string // with commands; "": nothing needs a fix
	OnPage  []Part // Fix, with links for commands
}

// For gives the advice for an attempt; false: its reason is unknown.
func For(a Attempt) (Advice, bool) {
	row, ok := a.Reason.Advice(a.Type)
	if !ok {
		return Advice{}, false
	}
	advice := Advice{Meaning: row.Means}
	advice.Fix, advice.OnPage = said(row.Fix, a.User)
	return advice, true
}
