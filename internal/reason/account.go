package reason

// Codes about the user: name, password, token, and the limits of the profile.
const (
	WrongPassword    Code = "wrong_password"
	WrongCode        Code = "wrong_code"
	TokenClockOff    Code = "token_clock_off"
	UnknownUser      Code = "unknown_user"
	UserLocked       Code = "user_locked"
	SourceLimited    Code = "source_limited"
	RefusalsLeftOut  Code = "refusals_left_out"
	UsedCode         Code = "used_code"
	OldCode          Code = "old_code"
	CodeNotStored    Code = "code_not_stored"
	UserTable        Code = "user_table"
	PasswordChanged  Code = "password_changed"
	TokenChanged     Code = "token_changed"
	AccountDisabled  Code = "account_disabled"
	AccountExpired   Code = "account_expired"
	TypeNotAllowed   Code = "type_not_allowed"
	IPsecRequired    Code = "ipsec_required"
	NobodyWithout    Code = "nobody_without_ipsec"
	OtherRemoteNode  Code = "other_remote_node"
	OutsideSchedule  Code = "outside_schedule"
	QuotaUsedUp      Code = "quota_used_up"
	QuotaUnknown     Code = "quota_unknown"
	ConnectedAlready Code = "connected_already"
	TooOften         Code = "too_often"
	OtherUser        Code = "other_user"
	PoolEmpty        Code = "pool_empty"
	NoPool           Code = "no_pool"
	AddressOutside   Code = "address_outside_pool"
	AddressInUse     Code = "address_in_use"
	AddressIsOuter   Code = "address_is_outer"
	FirewallSets     Code = "firewall_sets"
	HooksBehind      Code = "hooks_behind"
	HookLate         Code = "hook_late"
	HookOften        Code = "hook_refused_too_often"
	HookRefused      Code = "hook_refused"
	NoDataPath       Code = "no_data_path"
	NoRandomNumbers  Code = "no_random_numbers"
	Internal         Code = "internal_error"
)

// Labels of the metrics, each shared by several codes.
const (
	labelStorage   = "storage"
	labelHook      = "hook"
	labelServer    = "server"
	labelConnected = "connected_already"
	labelAddress   = "address_not_free"
	labelIPsec     = "ipsec_required"
	labelCode      = "wrong_code"
	labelPassword  = "wrong_password"
	labelUsed      = "used_code"
)

// Advice that several codes share.
var (
	hooksBehind = Advice{
		"More hooks wait than can run in time.",
		"Find out why they take so long (see the log lines \"hook\"), or raise hooks.at_once. Then dial again.",
	}
)

var accountRows = []Row{
	{
		Code: WrongPassword, Text: "wrong password[, user locked for {lock}][, user locked until {until}]",
		Label: labelPassword, MSCHAP: MSCHAPDenied,
		Advice: Advice{
			"The password is wrong.",
			"Type it again. Upper and lower case differ, and the client may have saved an old password. {password} sets a new one.",
		},
	},
	{
		Code: WrongCode, Text: "wrong one-time password[, user locked for {lock}][, user locked until {until}]",
		Label: labelCode, MSCHAP: MSCHAPDenied,
		Advice: Advice{
			"The one-time password does not belong to the user's token, within a day of the server's clock.",
			"Check the PIN and the secret: the token and the profile must have the same ones. {code} shows whether they match. " +
				"If they do not, give the token a new secret ({new-token}). If the client has saved the last code, have it ask for a new one.",
		},
	},
	{
		Code: TokenClockOff, Text: "wrong one-time password[, user locked for {lock}]: the token's clock is {clock}",
		Label: labelCode, MSCHAP: MSCHAPDenied,
		Advice: Advice{
			"The code was right for another time: the token's clock is {clock}.",
			"Compare the token's clock with the server's ({time}), both in UTC. If the token's clock cannot be set, {resync} " +
				"takes two codes in a row and moves the user's window.",
		},
	},
	{
		Code: UnknownUser, Text: "unknown user", Label: "unknown_user", MSCHAP: MSCHAPDenied,
		Advice: Advice{
			"There is no user with this name.",
			"Compare the spelling with {users}. The server ignores a Windows domain in front of a backslash. An @ and the text behind it belong to the name.",
		},
	},
	{
		Code: UserLocked, Text: "user locked until {until} after too many failures", Label: "user_locked", MSCHAP: MSCHAPDenied,
		Advice: Advice{
			"Name and password were right, but the user is locked until {until}, because there were too many wrong passwords before.",
			"Wait, or unlock the user: {unlock}. If the user has not typed wrong passwords, somebody is guessing: {history} shows the address.",
		},
	},
	{
		Code: SourceLimited, Text: "too many failures from this address", Label: "source_limited", MSCHAP: MSCHAPDenied,
		Advice: Advice{
			"Too many log-ins from this address have failed. It must wait, for every user name.",
			"It may try again after ten seconds for each failure. If you do not know the address, block it at the firewall (contrib/fail2ban).",
		},
	},
	{
		Code: RefusalsLeftOut, Text: "{count} more calls from {source} were refused within a minute", Label: labelLink,
		Advice: Advice{
			"So many calls were refused that the history does not list each of them.",
			"Somebody is guessing or flooding the server. Block the address at the firewall (contrib/fail2ban).",
		},
	},
	{
		Code: UsedCode, Text: "one-time password already used", Label: labelUsed, MSCHAP: MSCHAPDenied,
		Advice: Advice{
			"The code was used before. Each code works once.",
			"Wait for the token's next code. If the client redials by itself, it repeats the old code: have it ask for the password each time.",
		},
	},
	{
		Code: OldCode, Text: "one-time password older than the last one used", Label: labelUsed, MSCHAP: MSCHAPDenied,
		Advice: Advice{
			"A later code than this one was used before.",
			"Use the code that the token shows now. If the token's clock was set back, resynchronise it: {resync}.",
		},
	},
	{
		Code: CodeNotStored, Text: "could not store the one-time password as used: {error}", Label: labelStorage, MSCHAP: MSCHAPDenied,
		Advice: Advice{
			"The code was right, but the server could not record that it is used: {error}.",
			"Check whether the disk of the state folder is full or read-only. {check} shows the problem.",
		},
	},
	{
		Code: UserTable, Text: "user table: {error}", Label: labelStorage, MSCHAP: MSCHAPDenied,
		Advice: Advice{
			"The server cannot read its user table: {error}.",
			"Check the state folder and its permissions. {check} shows the problem.",
		},
	},
	{
		Code: PasswordChanged, Text: "the password was changed during the log-in", Label: labelPassword, MSCHAP: MSCHAPDenied,
		Advice: Advice{"The password was right when the log-in began, but it was changed before the user was let in.", "Dial again with the new password."},
	},
	{
		Code: TokenChanged, Text: "the token was changed during the log-in", Label: labelCode, MSCHAP: MSCHAPDenied,
		Advice: Advice{"The code was right when the log-in began, but the token was changed before the user was let in.", "Dial again with a code of the new token."},
	},
	{
		Code: AccountDisabled, Text: "account disabled", Label: "account_disabled", MSCHAP: MSCHAPDisabled,
		Advice: Advice{"The account is disabled.", "Enable it: {enable}."},
	},
	{
		Code: AccountExpired, Text: "account expired[ on {time}]", Label: "account_expired", MSCHAP: MSCHAPDisabled, Peer: "Account expired",
		Advice: Advice{"The account has expired.", "{expires} sets a later day. An empty day means never."},
	},
	{
		Code: TypeNotAllowed, Text: "dial-in type {type} not allowed", Label: "type_not_allowed", MSCHAP: MSCHAPNotAllowed,
		Advice: Advice{"The profile does not allow dial-in by {type}.", "Use an allowed type at the client, or allow this one: {dial-in}."},
	},
	{
		Code: IPsecRequired, Text: "L2TP without IPsec: the user's IPsec policy is must", Label: labelIPsec, MSCHAP: MSCHAPNotAllowed,
		Advice: Advice{
			"The profile requires IPsec (policy Must), but the client used L2TP without it.",
			"Set up L2TP with IPsec at the client. Until the server offers IPsec, let the user in without it: {ipsec}.",
		},
	},
	{
		Code: NobodyWithout, Text: "no user may use L2TP without IPsec", Label: labelIPsec, MSCHAP: MSCHAPNotAllowed, Peer: sameText,
		Advice: Advice{
			"A call by L2TP without IPsec was refused before it could send a password, because no user may use it.",
			"Allow L2TP to a user whose IPsec policy is not Must ({dial-in} and {ipsec}), or use PPTP at the client.",
		},
	},
	{
		Code: OtherRemoteNode, Text: "dial-in from {source}, but the user's remote node is {node}", Label: "other_remote_node", MSCHAP: MSCHAPNotAllowed,
		Advice: Advice{
			"The user may dial in only from {node}, but came from {source}.",
			"If the user's address has changed, change the remote node: {remote-node}. An empty one allows every address.",
		},
	},
	{
		Code: OutsideSchedule, Text: "outside the user's schedule ({schedule})", Label: "outside_schedule", MSCHAP: MSCHAPHours,
		Advice: Advice{
			"The user may not dial in at this time. The schedule is {schedule}.",
			"Wait, or change the schedule: {schedule}. Check the schedule's time zone, too.",
		},
	},
	{
		Code: QuotaUsedUp, Text: "monthly quota used up", Label: "quota_used_up", MSCHAP: MSCHAPNotAllowed,
		Advice: Advice{
			"The user has transferred as much as the profile allows in a calendar month (UTC).",
			"The count starts again on the first of next month. {quota} raises the quota.",
		},
	},
	{
		Code: QuotaUnknown, Text: "cannot read the user's traffic: {error}", Label: labelServer, MSCHAP: MSCHAPNotAllowed,
		Advice: Advice{
			"The user has a quota, but the server cannot read how much of it is used: {error}.",
			"Check the state folder. {check} shows the problem.",
		},
	},
	{
		Code: ConnectedAlready, Text: "the user is connected already, and the limit is {limit} at once", Label: labelConnected, MSCHAP: MSCHAPNotAllowed,
		Advice: Advice{
			"The user has as many connections as the profile allows at once.",
			"Drop the other connection ({drop}), raise the limit ({max-connections}), or let the new connection replace the old one ({further}).",
		},
	},
	{
		Code: TooOften, Text: "the user logs in too often: the limit is {limit} within a minute", Label: "too_often", MSCHAP: MSCHAPNotAllowed,
		Advice: Advice{
			"Somebody with the user's password has logged in more than {limit} times within a minute.",
			"Find out what dials in again and again ({connections}). If that is as it should be, raise limits.log_ins_per_user.",
		},
	},
	{
		Code: OtherUser, Text: "another user than before on the same link", Label: labelConnected, MSCHAP: MSCHAPNotAllowed,
		Advice: Advice{"The link was negotiated again with the name of another user.", "Hang up and dial again."},
	},
	{
		Code: PoolEmpty, Text: "address pool is empty[: {used} connections hold an address]", Label: "pool_empty", MSCHAP: MSCHAPNotAllowed, Peer: NoAddressFree,
		Advice: Advice{"There is no free address in the pool.", "Make the pool larger ({network.pool}). {connections} shows the addresses in use."},
	},
	{
		Code: NoPool, Text: "there is no pool {pool}", Label: labelAddress, MSCHAP: MSCHAPNotAllowed,
		Advice: Advice{
			"The profile names the address pool {pool}, but the configuration has no pool with that name.",
			"Add the pool ({network.pools}), or give the user another one ({pool}).",
		},
	},
	{
		Code: AddressOutside, Text: "fixed address {address} is in no pool", Label: labelAddress, MSCHAP: MSCHAPNotAllowed,
		Advice: Advice{
			"The user's fixed address {address} is in none of the pools.",
			"Give the user an address of a pool: {address}. Or add the address to a pool: {network.pool}.",
		},
	},
	{
		Code: AddressInUse, Text: "fixed address {address} is in use by {user}", Label: labelAddress, MSCHAP: MSCHAPNotAllowed,
		Advice: Advice{"The user's fixed address {address} is in use by {user}.", "Drop that connection, or give the user another address: {address}."},
	},
	{
		Code: AddressIsOuter, Text: "fixed address {address} is the client's own outer address", Label: labelAddress, MSCHAP: MSCHAPNotAllowed,
		Advice: Advice{
			"The client dials from {address}, which is also the user's fixed address. Its packets would loop.",
			"Give the user an address of the pool: {address}.",
		},
	},
	{
		Code: FirewallSets, Text: "could not change the firewall's sets: {error}", Label: labelHook, MSCHAP: MSCHAPNotAllowed,
		Advice: Advice{
			"The server could not add the user's address to the firewall's sets ({error}), and lets nobody in past the firewall's rules.",
			"Check whether the table of network.nftables_table is loaded, and whether the disk of the state folder has room. {check} shows the problem.",
		},
	},
	{
		Code: HooksBehind, Text: "hooks are behind: too many wait to run", Label: labelHook, MSCHAP: MSCHAPNotAllowed,
		Advice: hooksBehind,
	},
	{
		Code: HookLate, Text: "before hook: could not start in time", Label: labelHook, MSCHAP: MSCHAPNotAllowed,
		Advice: hooksBehind,
	},
	{
		Code: HookOften, Text: "before hook: it has refused this user from this address too often", Label: labelHook, MSCHAP: MSCHAPNotAllowed,
		Advice: Advice{
			"The command of hooks.before has refused the user so often that it does not run for each log-in.",
			"Its output is in the log, in the line \"hook\" of an earlier log-in. hooks.refusals is the limit.",
		},
	},
	{
		Code: HookRefused, Text: "before hook: {error}", Label: labelHook, MSCHAP: MSCHAPNotAllowed,
		Advice: Advice{
			"The command of hooks.before does not let the user in ({error}).",
			"Its output is in the log, in the line \"hook\" with the same session.",
		},
	},
	{
		Code: NoDataPath, Text: "no data path: {error}", Label: labelServer, MSCHAP: MSCHAPNotAllowed,
		Advice: Advice{"The server could not set up the user's address.", "Dial again. If it happens each time, look into the log."},
	},
	{
		Code: NoRandomNumbers, Text: "no random numbers: {error}", Label: labelServer, MSCHAP: MSCHAPNotAllowed, Exit: ExitProtocol,
		Advice: Advice{"The system gives no random numbers.", "Look into the log and check the machine."},
	},
	{
		Code: Internal, Text: "internal error: {error}", Label: labelServer, MSCHAP: MSCHAPNotAllowed, Exit: ExitProtocol,
		Advice: Advice{"An error of the server ended the connection: {error}.", "Dial again. If it happens each time, look into the log."},
	},
}
