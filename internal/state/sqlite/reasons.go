package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"regexp"
	"vpnd/internal/reason"
	"vpnd/internal/state"
)

// oldReason gives the code of a reason that was stored as text. The groups are its arguments.
type oldReason struct {
	text *regexp.Regexp
	code reason.Code
}

func old(text string, code reason.Code) oldReason {
	return oldReason{regexp.MustCompile(`^(?:` + text + `)$`), code}
}

// oldReasons are the texts from before version 7 of the database. The list is closed: reasons have
// had codes since then.
var oldReasons = []oldReason{
	old(`wrong one-time password(?:, user locked for ([^:]*))?: the token's clock is (.*)`, reason.TokenClockOff),
	old(`wrong one-time password(?:, user locked for (.*?))?(?:, user locked until (.*) after too many failures)?`, reason.WrongCode),
	old(`wrong password(?:, user locked for (.*?))?(?:, user locked until (.*) after too many failures)?`, reason.WrongPassword),
	old(`unknown user`, reason.UnknownUser),
	old(`user locked until (.*) after too many failures`, reason.UserLocked),
	old(`too many failures from this address`, reason.SourceLimited),
	old(`(\d+) more calls from (.+) were refused within a minute`, reason.RefusalsLeftOut),
	old(`one-time password already used`, reason.UsedCode),
	old(`one-time password older than the one used last`, reason.OldCode),
	old(`the one-time password could not be stored as used: (.*)`, reason.CodeNotStored),
	old(`user table: (.*)`, reason.UserTable),
	old(`the password was changed during the log-in`, reason.PasswordChanged),
	old(`the token was changed during the log-in`, reason.TokenChanged),
	old(`account disabled`, reason.AccountDisabled),
	old(`account expired(?: on (.*))?`, reason.AccountExpired),
	old(`dial-in type (.*) not allowed`, reason.TypeNotAllowed),
	old(`L2TP without IPsec: the user's IPsec policy is must`, reason.IPsecRequired),
	old(`no user may come by L2TP without IPsec`, reason.NobodyWithout),
	old(`dial-in from (.*), and the user's remote node is (.*)`, reason.OtherRemoteNode),
	old(`outside of the user's schedule \((.*)\)`, reason.OutsideSchedule),
	old(`monthly quota used up`, reason.QuotaUsedUp),
	old(`the user's traffic is not known: (.*)`, reason.QuotaUnknown),
	old(`the user is connected already, and (\d+) at once is the limit`, reason.ConnectedAlready),
	old(`address pool is empty(?:: (\d+) connections hold an address)?`, reason.PoolEmpty),
	old(`there is no pool (.*)`, reason.NoPool),
	old(`fixed address (.*) is in no pool`, reason.AddressOutside),
	old(`(.*): fixed address is not in the pool`, reason.AddressOutside),
	old(`(.*): fixed address is in use by (.*)`, reason.AddressInUse),
	old(`(.*): fixed address is the client's own outer address`, reason.AddressIsOuter),
	old(`the firewall's sets could not be changed: (.*)`, reason.FirewallSets),
	old(`before hook: its turn did not come in time`, reason.HookLate),
	old(`hooks are behind: .*`, reason.HooksBehind),
	old(`before hook: (.*)`, reason.HookRefused),
	old(`another user than before on the same link`, reason.OtherUser),
	old(`peer accepts none of the allowed authentications: it asks for PAP`, reason.OnlyPAP),
	old(`peer accepts none of the allowed authentications(?:: it asks for (.*))?`, reason.NoCommonAuth),
	old(`(.*): it asks for (.*)`, reason.HungUpInLCP),
	old(`peer refuses to authenticate`, reason.AuthRefused),
	old(`peer rejects (PAP|CHAP|LCP)`, reason.ProtocolRejected),
	old(`peer (?:did not authenticate|was not authenticated) within (.*)`, reason.AuthTimeout),
	old(`no answer to the authentication`, reason.NoAuthAnswer),
	old(`peer hung up during the authentication(?:: it says (.*))?`, reason.HungUpInAuth),
	old(`peer failed to authenticate when it was challenged again`, reason.FailedAgain),
	old(`the client refuses the server's name and password`, reason.MutualRefused),
	old(`the client did not answer to the server's name and password within (.*)`, reason.MutualTimeout),
	old(`MPPE is required, but no authentication that yields keys is allowed`, reason.MPPENoKeyMethod),
	old(`MPPE is required, but the authentication yields no keys`, reason.MPPEWithoutKeys),
	old(`MPPE is required, but was not agreed within (.*)`, reason.MPPENotAgreed),
	old(`MPPE is required, but .*`, reason.MPPERefused),
	old(`MPPE was not agreed within (.*)`, reason.MPPETimeout),
	old(`client insists on (\S+); (.*)'s address is ([^\s:]+)(?:: it says (.*))?`, reason.ClientInsists),
	old(`client asks for no address; (.*)'s address is ([^\s:]+)(?:: it says (.*))?`, reason.ClientWantsNone),
	old(`client does not take (\S+) as the server's address`, reason.ServerAddress),
	old(`peer does not speak IP: (.*)`, reason.NoIP),
	old(`IPCP was not agreed within (.*)`, reason.IPTimeout),
	old(`peer hung up before it was connected(?:: it says (.*))?`, reason.HungUpBeforeUp),
	old(`(.*); no PPP frame had come from the peer`, reason.NothingCame),
	old(`no answer to LCP: nothing has come from the peer|nothing has come from the peer within (.*)`, reason.NoLCPAnswer),
	old(`peer does not agree to LCP, or does not answer any more`, reason.LCPNotAgreed),
	old(`LCP was not agreed within (.*)`, reason.LCPTimeout),
	old(`peer rejects LCP's own codes`, reason.LCPRejected),
	old(`the line is looped back`, reason.LoopedBack),
	old(`wrong tunnel secret`, reason.WrongTunnelSecret),
	old(`client does not take our tunnel secret`, reason.TunnelSecretRefused),
	old(`l2tp: hidden AVP does not decode`, reason.HiddenAVP),
	old(`client wants a tunnel secret, and l2tp.secret is empty`, reason.NoTunnelSecret),
	old(`as many (?:calls|sessions) as the server bears`, reason.CallLimit),
	old(`too many sessions of this address that are not up yet`, reason.PendingLimit),
	old(`the server takes no more calls`, reason.NoMoreCalls),
	old(`(?:drawing a call identifier|no random numbers): (.*)`, reason.NoRandomNumbers),
	old(`no data path: (.*)`, reason.NoDataPath),
	old(`client hung up at once`, reason.HungUpAtOnce),
	old(`peer hung up(?:: it says (.*))?`, reason.PeerHungUp),
	old(`client closed the control connection`, reason.ControlClosed),
	old(`client cleared the call`, reason.CallCleared),
	old(`client disconnected the call(?: \((.*)\))?`, reason.CallDisconnected),
	old(`client closed the tunnel`, reason.TunnelClosed),
	old(`control connection lost`, reason.ControlLost),
	old(`client does not answer Echo-Request`, reason.EchoUnanswered),
	old(`client does not answer any more`, reason.TunnelSilent),
	old(`echo time-out: nothing came from the peer for (.*)`, reason.EchoTimeout),
	old(`packets could not be decrypted, and the peer hung up(?:: it says (.*))?`, reason.HungUpUndecryptable),
	old(`packets could not be decrypted, although encryption had begun again`, reason.Undecryptable),
	old(`the peer has ended the encryption \(MPPE\) that was agreed`, reason.EncryptionEnded),
	old(`idle time-out`, reason.IdleTimeout),
	old(`session time limit reached`, reason.SessionTime),
	old(`the user's schedule ends`, reason.ScheduleEnds),
	old(`replaced by a new dial-in of the user`, reason.Replaced),
	old(`client has opened its tunnel anew`, reason.TunnelReopened),
	old(`(dropped by the administrator)`, reason.Dropped),
	old(`user was removed`, reason.UserRemoved),
	old(`the address has left the pool`, reason.AddressLeftPool),
	old(`server is shutting down`, reason.ShuttingDown),
	old(`fault of the server`, reason.ServerFault),
	old(`client speaks another version of (PPTP|L2TP)`, reason.OtherVersion),
	old(`client sent an unknown mandatory AVP`, reason.UnknownAVP),
	old(`client sent an unknown (.*)`, reason.UnknownMessage),
	old(`no room: too many clients have not logged in`, reason.NoRoomClients),
	old(`no room: too many tunnels wait for their peer`, reason.NoRoomTunnels),
	old(`no call within (.*)`, reason.NoCall),
	old(`no Start-Control-Connection-Request within (.*)`, reason.NoStartRequest),
	old(`no SCCCN within (.*)`, reason.NoSCCCN),
	old(`nothing shows within (.*) that the client hears us`, reason.ClientDeaf),
	old(`client did not answer Stop-Control-Connection-Request`, reason.StopUnanswered),
	old(`stopped`, reason.ControlStopped),
	old(`(.*) before (Start-Control-Connection-Request|SCCRQ)`, reason.NotStarted),
	old(`(SCCRQ .*|pptp: .*|l2tp: .*)`, reason.BadMessage),
}

// reasonOf is the reason of a text from before reasons had codes.
func reasonOf(text string) reason.Reason {
	for _, o := range oldReasons {
		if found := o.text.FindStringSubmatch(text); found != nil {
			why := reason.Reason{Code: o.code}
			copy(why.Args[:], found[1:])
			return why
		}
	}
	return reason.Reason{}
}

// codeOldReasons gives the old entries of the history codes. The entries keep their text.
func codeOldReasons(ctx context.Context, tx *sql.Tx) error {
	texts, err := oldTexts(ctx, tx)
	if err != nil {
		return err
	}
	for _, text := range texts {
		why := reasonOf(text)
		if why.IsZero() {
			continue
		}
		if _, err := tx.ExecContext(ctx, `UPDATE history SET cause = ?, arguments = ? WHERE reason = ? AND event IN (?, ?)`,
			string(why.Code), why.Stored(), text, state.EventRefused, state.EventDisconnected); err != nil {
			return fmt.Errorf("codes of the history's reasons: %w", err)
		}
	}
	return nil
}

func oldTexts(ctx context.Context, tx *sql.Tx) (texts []string, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT DISTINCT reason FROM history WHERE event IN (?, ?)`, state.EventRefused, state.EventDisconnected)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		texts = append(texts, text)
	}
	return texts, rows.Err()
}
