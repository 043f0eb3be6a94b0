package timesync

import (
	"cmp"
	"errors"
	"slices"
	"time"
)

// serverError is what a good server may be wrong by, besides what the way to it hides.
const serverError = 250 * time.Millisecond

// Answer is what came of asking one server.
type Answer struct {
	Server    string
	Offset    time.Duration // the server's time less the host's
	RoundTrip time.Duration
	Stratum   int
	Outvoted  bool // most of the others agree on another time
	Err       error
	kiss      string // the code by which the server declines to be asked (RFC 5905 section 7.4)
}

// The answers that a vote finds no time in.
var (
	errNoAnswer = errors.New("no time server answers")
	errDisagree = errors.New("the time servers disagree, and none has a majority")
)

// within tells the offsets that are possible after the answer: a server whose clock is right is off by as
// much as half of the round trip, when one way takes all of it (RFC 5905 section 10).
func (a Answer) within() (lowest, highest time.Duration) {
	margin := a.RoundTrip/2 + serverError
	return a.Offset - margin, a.Offset + margin
}

// vote finds the most answers that can be true together, by Marzullo's rule: they must be more than half
// of all that have an offset. It marks the others as outvoted and gives the median of those that agree; of
// two in the middle, the one that has the shorter round trip.
func vote(answers []Answer) (Answer, error) {
	var valid, agree []int
	for i := range answers {
		answers[i].Outvoted = false
		if answers[i].Err == nil {
			valid = append(valid, i)
		}
	}
	if len(valid) == 0 {
		return Answer{}, errNoAnswer
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
	for _, i := range valid {
		answers[i].Outvoted = !slices.Contains(agree, i)
	}
	lower, upper := answers[agree[(len(agree)-1)/2]], answers[agree[len(agree)/2]]
	if upper.RoundTrip < lower.RoundTrip {
		return upper, nil
	}
	return lower, nil
}
