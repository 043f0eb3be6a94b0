package auth

import (
	"net/netip"
	"slices"
	"time"
	"vpnd/internal/reason"
)

// Refuses checks a dial-in against the limits of the account at the time now. The zero Reason
// admits it. L2TP means plain L2TP, without IPsec.
func (a Account) Refuses(s Service, source netip.Addr, now time.Time) reason.Reason {
	switch {
	case a.Fault != "":
		return reason.New(reason.UserTable, a.Fault)
	case !a.Enabled:
		return reason.New(reason.AccountDisabled)
	case !a.Expires.IsZero() && !now.Before(a.Expires):
		// 648 means that the password has expired: Windows may ask its user for another one.
		return reason.New(reason.AccountExpired, a.Expires)
	case !slices.Contains(a.Services, s):
		return reason.New(reason.TypeNotAllowed, s)
	case s == L2TP && a.IPsecMust:
		return reason.New(reason.IPsecRequired)
	case a.RemoteNode.IsValid() && !a.RemoteNode.Contains(source.Unmap()):
		return reason.New(reason.OtherRemoteNode, source, a.RemoteNode)
	}
	if open, _ := a.Schedule.Open(now); !open {
		return reason.New(reason.OutsideSchedule, a.Schedule)
	}
	return reason.Reason{}
}

// TermsAt gives the terms of a connection at the time now. The schedule or the expiry date sets its
// end.
func (a Account) TermsAt(now time.Time) Terms {
	t := a.Terms
	if _, end := a.Schedule.Open(now); !end.IsZero() {
		t.Until, t.UntilReason = end, reason.New(reason.ScheduleEnds)
	}
	if !a.Expires.IsZero() && (t.Until.IsZero() || a.Expires.Before(t.Until)) {
		t.Until, t.UntilReason = a.Expires, reason.New(reason.AccountExpired)
	}
	return t
}
