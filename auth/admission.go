package auth

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// CodeHours is one more code of a refusal (RFC 2759 section 6): not at this hour.
const CodeHours = 646

// Refusal says why an account is not let in. The zero value: it is.
type Refusal struct {
	Code   int
	Cause  Cause
	Reason string
}

// Refuses holds a dial-in against what the account allows at the time now. L2TP counts as plain, without
// IPsec.
func (a Account) Refuses(s Service, source netip.Addr, now time.Time) Refusal {
	switch {
	case a.Fault != "":
		return Refusal{CodeNotAllowed, CauseStorage, "user table: " + a.Fault}
	case !a.Enabled:
		return Refusal{CodeDisabled, CauseDisabled, "account disabled"}
	case !a.Expires.IsZero() && !now.Before(a.Expires):
		// 648 means that the password has expired: Windows may ask its user for another one.
		return Refusal{CodeDisabled, CauseExpired, "account expired on " + a.Expires.UTC().Format(time.DateTime) + " UTC"}
	case !slices.Contains(a.Services, s):
		return Refusal{CodeNotAllowed, CauseType, fmt.Sprintf("dial-in type %s not allowed", s)}
	case s == L2TP && a.IPsecMust:
		return Refusal{CodeNotAllowed, CauseIPsec, "L2TP without IPsec: the user's IPsec policy is must"}
	case a.RemoteNode.IsValid() && !a.RemoteNode.Contains(source.Unmap()):
		return Refusal{CodeNotAllowed, CauseRemoteNode, fmt.Sprintf("dial-in from %v, and the user's remote node is %v", source, a.RemoteNode)}
	}
	if open, _ := a.Schedule.Open(now); !open {
		return Refusal{CodeHours, CauseSchedule, fmt.Sprintf("outside of the user's schedule (%v)", a.Schedule)}
	}
	return Refusal{}
}

// TermsAt gives the terms of a connection at the time now, with the end that the schedule or the
// expiry date sets.
func (a Account) TermsAt(now time.Time) Terms {
	t := a.Terms
	if _, end := a.Schedule.Open(now); !end.IsZero() {
		t.Until, t.UntilReason = end, "the user's schedule ends"
	}
	if !a.Expires.IsZero() && (t.Until.IsZero() || a.Expires.Before(t.Until)) {
		t.Until, t.UntilReason = a.Expires, "account expired"
	}
	return t
}
