package timesync

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// answer makes a server's answer; the times are in milliseconds.
func answer(name string, offset, roundTrip int) Answer {
	return Answer{Server: name, Offset: time.Duration(offset) * time.Millisecond, RoundTrip: time.Duration(roundTrip) * time.Millisecond}
}

func TestVote(t *testing.T) {
	dead := Answer{Server: "dead", Err: errors.New("no answer")}
	bad := Answer{Server: "bad", Err: errors.New("not synchronized"), answered: true}
	at := func(address string, a Answer) Answer {
		a.Address = netip.MustParseAddrPort(address)
		return a
	}
	for _, c := range []struct {
		name     string
		answers  []Answer
		server   string
		err      error
		outvoted []string
	}{
		{"none", nil, "", errNoAnswer, nil},
		{"dead", []Answer{dead, dead}, "", errNoAnswer, nil},
		{"none can be used", []Answer{dead, bad}, "", errUnusable, nil},
		{"one can be used", []Answer{bad, answer("a", 5, 10)}, "a", nil, nil},
		{"a liar by two names", []Answer{at("192.0.2.1:123", answer("liar", 9000, 1)), at("192.0.2.1:123", answer("2", 9000, 1)), at("192.0.2.2:123", answer("a", 0, 1))}, "", errDisagree, nil},
		{
			"a liar by three names",
			[]Answer{
				at("192.0.2.1:123", answer("liar", 9000, 1)), at("192.0.2.2:123", answer("a", 0, 1)), at("192.0.2.1:123", answer("2", 9000, 1)),
				at("192.0.2.3:123", answer("b", 0, 2)), at("192.0.2.1:123", answer("3", 0, 1)),
			},
			"a", nil,
			[]string{"liar", "2", "3"},
		},
		{"two ports are two servers", []Answer{at("192.0.2.1:123", answer("a", 0, 1)), at("192.0.2.1:124", answer("b", 0, 2)), at("192.0.2.2:123", answer("liar", 9000, 1))}, "a", nil, []string{"liar"}},
		{"the first name is silent", []Answer{at("192.0.2.1:123", dead), at("192.0.2.1:123", answer("a", 0, 1))}, "a", nil, nil},
		{"one", []Answer{answer("a", 100_000, 10)}, "a", nil, nil},
		{"one of three lives", []Answer{dead, answer("a", -70, 10), dead}, "a", nil, nil},
		{"two agree: the nearer one", []Answer{answer("a", 10, 40), answer("b", 20, 10)}, "b", nil, nil},
		{"two agree: the nearer one is first", []Answer{answer("a", 10, 10), answer("b", 20, 40)}, "a", nil, nil},
		{"two disagree", []Answer{answer("a", 0, 10), answer("b", 100_000, 10)}, "", errDisagree, nil},
		{"one lies", []Answer{answer("a", 0, 10), answer("liar", 100_000, 1), answer("c", 30, 10)}, "a", nil, []string{"liar"}},
		{"the median", []Answer{answer("a", 30, 10), answer("b", 10, 10), answer("c", 20, 10)}, "c", nil, nil},
		{"one lies, one is dead", []Answer{answer("a", 0, 10), answer("b", 9000, 10), dead}, "", errDisagree, nil},
		{"all off together", []Answer{answer("a", 100_000, 10), answer("b", 100_010, 10), answer("c", 100_005, 10)}, "c", nil, nil},
		{"a long way explains it", []Answer{answer("a", 0, 10), answer("far", 1400, 2500)}, "a", nil, nil},
		{"a long way does not explain it", []Answer{answer("a", 0, 10), answer("far", 1800, 2500)}, "", errDisagree, nil},
		{"two parties of two", []Answer{answer("a", 0, 1), answer("b", 1, 1), answer("c", 5000, 1), answer("d", 5001, 1)}, "", errDisagree, nil},
		{"a chain: the closer pair", []Answer{answer("a", 0, 0), answer("b", 450, 0), answer("c", 800, 0)}, "b", nil, []string{"a"}},
	} {
		got, err := vote(c.answers)
		var outvoted []string
		for _, a := range c.answers {
			if a.Outvoted {
				outvoted = append(outvoted, a.Server)
			}
		}
		if got.Server != c.server || !errors.Is(err, c.err) || !slices.Equal(outvoted, c.outvoted) {
			t.Errorf("%s: %+v, %v, outvoted %q", c.name, got, err, outvoted)
		}
	}
}

// The median is within the agreeing majority. As long as most servers are right, it is near the
// right time, whatever the others say.
func TestVoteProperties(t *testing.T) {
	const seed = 7
	rnd := rand.New(rand.NewPCG(seed, seed))
	for round := range 20_000 {
		n := 1 + rnd.IntN(16)
		right := n/2 + 1
		truth := time.Duration(rnd.Int64N(int64(time.Hour))) - 30*time.Minute
		answers := make([]Answer, 0, n+2)
		for i := range n {
			a := Answer{Server: string(rune('a' + i)), RoundTrip: time.Duration(rnd.Int64N(int64(answerTime)))}
			if i < right { // wrong by no more than the round trip allows
				a.Offset = truth + time.Duration((2*rnd.Float64()-1)*float64(a.RoundTrip/2+serverError))
			} else {
				a.Offset = truth + time.Duration(rnd.Int64N(int64(10*time.Second))) - 5*time.Second
			}
			answers = append(answers, a)
		}
		answers = append(answers, Answer{Server: "dead", Err: errNoAnswer})
		rnd.Shuffle(len(answers), func(i, j int) { answers[i], answers[j] = answers[j], answers[i] })
		got, err := vote(answers)
		if err != nil {
			t.Fatalf("round %d: %v for %+v", round, err, answers)
		}
		lowest, highest, agree := time.Duration(1<<62), -time.Duration(1<<62), 0
		for _, a := range answers {
			if a.Err == nil && !a.Outvoted {
				lowest, highest, agree = min(lowest, a.Offset), max(highest, a.Offset), agree+1
			}
		}
		if got.Offset < lowest || got.Offset > highest || 2*agree <= n {
			t.Fatalf("round %d: %v of %d that agree, from %v to %v: %+v", round, got.Offset, agree, lowest, highest, answers)
		}
		if off := got.Offset - truth; beyond(off, 2*(answerTime/2+serverError)) {
			t.Fatalf("round %d: %v from the right time: %+v", round, off, answers)
		}
	}
}
