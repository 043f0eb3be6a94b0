package reason

import "slices"

// Row is the information about a code.
type Row struct {
	Code Code
	// Text is for the log and the pages. {name} is an argument. A part in brackets is left out if
	// its argument is empty.
	Text string
	// Peer is the text for the peer: in a Terminate-Request (RFC 1661 section 5.5), in the result
	// of an L2TP message (RFC 2661 section 4.4.2), or in an answer of PAP and CHAP. Empty: the text
	// that belongs to MSCHAP, or nothing without that. sameText: Text itself.
	Peer string
	// Label is the label of refusals in the metrics. Empty: not_negotiated, for a call that ended
	// before its log-in was answered.
	Label string
	// MSCHAP is the error code of a refused log-in (RFC 2759 section 6).
	MSCHAP int
	// CDN and StopCCN are the results that end an L2TP call or tunnel (RFC 2661 section 4.4.2).
	// Zero: the usual one.
	CDN, StopCCN Result
	// Exit is the exit status of vpnd dial; 0: not a reason of a client.
	Exit int
	Advice
	L2TP *Advice // for L2TP, if it differs
}

// Result is an L2TP result code and, for codes 2 and 4, its error code.
type Result struct{ Code, Error uint16 }

// Advice is for the administrator of the server.
type Advice struct {
	Means string // contains placeholders of the text
	Fix   string // contains tasks of mgmt/guide in braces, such as {unlock}; empty: none
}

// Error codes of a refused log-in (RFC 2759 section 6).
const (
	MSCHAPHours      = 646 // not at this time
	MSCHAPDisabled   = 647
	mschapExpired    = 648
	MSCHAPNotAllowed = 649
	MSCHAPDenied     = 691 // wrong name or password
)

// Exit statuses of vpnd dial.
const (
	ExitFailed    = 1 // this machine has failed
	ExitNoAnswer  = 3
	ExitRefused   = 4
	ExitPassword  = 5
	ExitNoAddress = 6
	ExitProtocol  = 7
	ExitLost      = 8
	ExitUnproven  = 9
)

// sameText as a Row's Peer sends Text itself to the peer.
const sameText = "="

// labelLink is the label of calls that ended before their user was known.
const labelLink = "not_negotiated"

var byCode = func() map[Code]Row {
	all := map[Code]Row{}
	for _, row := range Table() {
		all[row.Code] = row
	}
	return all
}()

// Group is a group of rows.
type Group struct {
	Title string
	Rows  []Row
}

// Groups gives the table in groups.
func Groups() []Group {
	return []Group{
		{"Accounts and log-ins", accountRows},
		{"Calls that did not come up", negotiationRows},
		{"The end of connections and calls", endRows},
		{"`vpnd dial`", clientRows},
	}
}

// Table gives all rows.
func Table() []Row {
	var all []Row
	for _, g := range Groups() {
		all = append(all, g.Rows...)
	}
	return all
}

// Labels gives the labels of refusals in the metrics.
func Labels() []string {
	var all []string
	for _, row := range Table() {
		if row.Label != "" {
			all = append(all, row.Label)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
