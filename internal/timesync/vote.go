package timesync

import (
	"cmp"
	"errors"
	"net/netip"
	"slices"
	"time"
)

// serverError is the error that a good server may have in addition to that of the network path.
const serverError = 250 * time.Millisecond

// Answer is the result of asking one server.
type Answer struct {
	Server    string
	Address   netip.AddrPort // of the name
	Offset    time.Duration  // the server's time less the host's
	RoundTrip time.Duration
	Stratum   int
	Outvoted  bool   // most of the others agree on another time
	Same      string // an earlier server with the same address; "": none. Both have one vote
	Err       error
	answered  bool   // Err is about an answer that arrived
	kiss      string // code by which the server declines requests (RFC 5905 section 7.4)
}

// Errors of answers that give no time.
var (
	errNoAnswer = errors.New("no time server answers")
	errUnusable = errors.New("the time servers answer, but none has a usable time")
	errDisagree = errors.New("the time servers disagree, and no time has a majority")
)

// within gives the range of possible offsets after the answer. A server whose clock is right can be
// off by up to half of the round trip, if one way takes all of it (RFC 5905 section 10).
func (a Answer) within() (lowest, highest time.Duration) {
	margin := a.RoundTrip/2 + serverError
	return a.Offset - margin, a.Offset + margin
}

// voters are the answers that have an offset, one for each address. It marks the others of an
// address.
func voters(answers []Answer) (valid []int, err error) {
	err = errNoAnswer
	seen := map[netip.AddrPort]string{}
	for i := range answers {
		a := &answers[i]
		a.Outvoted, a.Same = false, seen[a.Address]
		switch {
		case a.answered:
			err = errUnusable
		case a.Err == nil && a.Same == "":
			valid = append(valid, i)
			if a.Address.IsValid() {
				seen[a.Address] = a.Server
			}
		}
	}
	if len(valid) > 0 {
		err = nil
	}
	return valid, err
}

// vote finds the most answers that can be true together, by Marzullo's rule: they must be more than
// half of all voters. It marks the others as outvoted and gives the median of those that agree. Of
// two in the middle, it gives the one with the shorter round trip.
func vote(answers []Answer) (Answer, error) {
	var agree []int
	valid, err := voters(answers)
	if err != nil {
		return Answer{}, err
	}
	slices.SortFunc(valid, func(i, j int) int { return cmp.Compare(answers[i].Offset, answers[j].Offset) })
	spread := func(group []int) time.Duration {
		return answers[group[len(group)-1]].Offset - answers[group[0]].Offset
	}
	for _, i := range valid {
		point, _ := answers[i].within()
		var group []int // in the order of their offsets
		for _, j := range valid {
			if lowest, highest := answers[j].within(); lowest <= point && point <= highest {
				group = append(group, j)
			}
		}
		if len(group) > len(agree) || len(group) == len(agree) && spread(group) < spread(agree) {
			agree = group
		}
	}
	if 2*len(agree) <= len(valid) {
		return Answer{}, errDisagree
	}
	outvoted := map[netip.AddrPort]bool{}
	for _, i := range valid {
		answers[i].Outvoted = !slices.Contains(agree, i)
		outvoted[answers[i].Address] = answers[i].Outvoted
	}
	for i := range answers {
		if answers[i].Same != "" {
			answers[i].Outvoted = outvoted[answers[i].Address]
		}
	}
	lower, upper := answers[agree[(len(agree)-1)/2]], answers[agree[len(agree)/2]]
	if upper.RoundTrip < lower.RoundTrip {
		return upper, nil
	}
	return lower, nil
}
