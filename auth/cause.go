package auth

// Cause is a refusal's reason in a word, of a fixed set: what refusals are counted by.
type Cause string

// The causes of refusals by an Authenticator.
const (
	CauseUnknownUser Cause = "unknown_user"
	CausePassword    Cause = "wrong_password"
	CauseCode        Cause = "wrong_code"
	CauseUsed        Cause = "used_code"      // once already, or older than one that was
	CauseLocked      Cause = "user_locked"    // after too many failures
	CauseSource      Cause = "source_limited" // too many failures from the address
	CauseDisabled    Cause = "account_disabled"
	CauseExpired     Cause = "account_expired"
	CauseType        Cause = "type_not_allowed"
	CauseIPsec       Cause = "ipsec_required"
	CauseRemoteNode  Cause = "other_remote_node" // from an address that the user may not dial from
	CauseSchedule    Cause = "outside_schedule"
	CauseStorage     Cause = "storage" // the user table does not answer, or takes nothing
)

// Causes are all of them.
func Causes() []Cause {
	return []Cause{
		CauseUnknownUser, CausePassword, CauseCode, CauseUsed, CauseLocked, CauseSource, CauseDisabled, CauseExpired, CauseType, CauseIPsec,
		CauseRemoteNode, CauseSchedule, CauseStorage,
	}
}
