package reason

// NoAddressFree is the text for a client when no address is free, because MS-CHAP has no error code
// for that.
const NoAddressFree = "No address is free"

// Codes of vpnd dial, the client. Its exit statuses are only as precise as the server's answers.
const (
	ServerRefusesLogIn  Code = "server_refuses_login"
	ServerForbidsLogIn  Code = "server_forbids_login"
	ServerUnproven      Code = "server_unproven"
	ServerWrongPassword Code = "server_wrong_password"
	ServerAsksOtherAuth Code = "server_authentication_not_allowed"
	ServerAsksNoAuth    Code = "server_asks_no_authentication"
	ServerSilent        Code = "server_silent"
	ServerNoAddress     Code = "server_no_address"
	ServerGaveNone      Code = "server_gave_no_address"
	ServerRefusesTunnel Code = "server_refuses_tunnel"
	ServerRefusesCall   Code = "server_refuses_call"
	ServerEndsCall      Code = "server_ends_call"
	ServerClosedTunnel  Code = "server_closed_tunnel"
	ServerClosedControl Code = "server_closed_control_connection"
	ServerHungUp        Code = "server_hung_up"
	ServerMoves         Code = "server_changed_addresses"
	ServerNoAnswer      Code = "server_no_answer"
	ServerTunnelSecret  Code = "server_wrong_tunnel_secret"
	ServerWantsSecret   Code = "server_wants_tunnel_secret"
	ServerBadMessage    Code = "server_bad_message"
	ServerUnknownAVP    Code = "server_unknown_avp"
	ServerUnknownKind   Code = "server_unknown_message"
	ServerRefusesSecret Code = "server_refuses_tunnel_secret"
	ServerNotPPTP       Code = "server_does_not_speak_pptp"
	ServerNoGRE         Code = "server_no_gre"
	ServerUnresolved    Code = "server_not_found"
	DialFailed          Code = "dial_failed"
	HangsUp             Code = "hangs_up"
	GivenUp             Code = "given_up"
)

const dialAgain = "Dial again. If it happens each time, look into the server's log."

// Advice that several codes share.
var (
	serverEnded       = Advice{"The server ended the call.", dialAgain}
	serverHangsUp     = Advice{"The server hung up. {message}", dialAgain}
	otherSecret       = Advice{"The server has another tunnel secret.", "Set the same L2TP tunnel secret at both ends."}
	serverBreaksRules = Advice{"The server does not follow the protocol.", dialAgain}
)

var clientRows = []Row{
	{
		Code: ServerRefusesLogIn, Text: "server refuses the log-in: {why}", Exit: ExitPassword,
		Advice: Advice{"The server does not accept the name or the password: {why}.", "Check the name, the password and the token. The server's log has the exact reason."},
	},
	{
		Code: ServerForbidsLogIn, Text: "server does not let the user in: {why}", Exit: ExitPassword,
		Advice: Advice{"The server does not let the user in: {why}.", "The server's log has the exact reason."},
	},
	{
		Code: ServerUnproven, Text: "server failed to prove that it knows the password", Exit: ExitUnproven,
		Advice: Advice{"The server does not know the user's password. It may be an impostor.", "Check the server's address. Do not send the password by PAP."},
	},
	{
		Code: ServerAsksOtherAuth, Text: "server insists on an authentication that is not allowed", Peer: sameText, Exit: ExitProtocol,
		Advice: Advice{"Client and server have no authentication in common.", "Allow the server's method with --auth."},
	},
	{
		Code: ServerAsksNoAuth, Text: "server asks for no authentication", Peer: sameText, Exit: ExitUnproven,
		Advice: Advice{"The server lets anybody in, so it does not prove that it knows the password.", "Check the server's address, or dial without --auth."},
	},
	{
		Code: ServerWrongPassword, Text: "the server's name or password is wrong", Peer: "Access denied", Exit: ExitUnproven,
		Advice: Advice{"The server could not authenticate itself (mutual authentication).", "Compare the names and passwords that both ends expect."},
	},
	{
		Code: ServerSilent, Text: "server did not send its name and password within {time}", Peer: "authentication took too long", Exit: ExitNoAnswer,
		Advice: Advice{"The server did not authenticate itself (mutual authentication).", "Turn on mutual authentication at the server, or off at the client."},
	},
	{
		Code: ServerNoAddress, Text: "server has no free address", Exit: ExitNoAddress,
		Advice: Advice{"The server's address pool is empty.", "Make the pool larger, or wait for an address."},
	},
	{
		Code: ServerGaveNone, Text: "server gave no address", Exit: ExitNoAddress,
		Advice: Advice{"The server agreed to IP without an address for the client.", "Check the server's address pool."},
	},
	{
		Code: ServerRefusesTunnel, Text: "server refuses the tunnel ({result})", Exit: ExitRefused,
		Advice: Advice{"The server does not accept the L2TP tunnel.", dialAgain},
	},
	{
		Code: ServerRefusesCall, Text: "server refuses the call ({result})", Exit: ExitRefused,
		Advice: Advice{"The server does not accept the call.", dialAgain},
	},
	{
		Code: ServerEndsCall, Text: "server disconnected the call[ ({result})]", Exit: ExitLost,
		Advice: serverEnded,
	},
	{
		Code: ServerClosedTunnel, Text: "server closed the tunnel", Exit: ExitLost,
		Advice: Advice{"The server ended the tunnel.", dialAgain},
	},
	{
		Code: ServerClosedControl, Text: "server closed the control connection", Exit: ExitLost,
		Advice: Advice{"The server ended the control connection.", dialAgain},
	},
	{
		Code: ServerHungUp, Text: "server hung up[: it says {message}]", Exit: ExitLost,
		Advice: serverHangsUp,
	},
	{
		Code: ServerMoves, Text: "server changed the addresses: client {client} and server {server} are now {newclient} and {newserver}", Peer: sameText, Exit: ExitLost,
		Advice: Advice{"The server gave the client another address, or took another one itself, while the connection was up.", dialAgain},
	},
	{
		Code: ServerNoAnswer, Text: "no answer[ from {server}][: {error}]", Exit: ExitNoAnswer,
		Advice: Advice{"Nothing comes from the server.", "Check the network between, and whether the server runs."},
	},
	{
		Code: ServerTunnelSecret, Text: "server does not know the tunnel secret", Peer: "wrong tunnel secret", StopCCN: Result{Code: 4}, Exit: ExitRefused,
		Advice: otherSecret,
	},
	{
		Code: ServerWantsSecret, Text: "server wants a tunnel secret", Peer: "no tunnel secret here", StopCCN: Result{Code: 4}, Exit: ExitRefused,
		Advice: Advice{"The server has a tunnel secret, but the client has none.", "Set the server's L2TP tunnel secret at the client."},
	},
	{
		Code: ServerBadMessage, Text: "server {fault}", Exit: ExitProtocol, StopCCN: Result{Code: 2}, CDN: Result{Code: 2},
		Advice: serverBreaksRules,
	},
	{
		Code: ServerUnknownAVP, Text: "server sent an unknown mandatory AVP", Peer: "unknown mandatory AVP", Exit: ExitProtocol, StopCCN: Result{2, 8}, CDN: Result{2, 8},
		Advice: serverBreaksRules,
	},
	{
		Code: ServerUnknownKind, Text: "server sent an unknown {message}", Peer: "unknown message type", Exit: ExitProtocol, StopCCN: Result{2, 8},
		Advice: serverBreaksRules,
	},
	{
		Code: ServerRefusesSecret, Text: "server does not accept our tunnel secret", Exit: ExitRefused,
		Advice: otherSecret,
	},
	{
		Code: ServerNotPPTP, Text: "server does not speak PPTP: {error}", Exit: ExitProtocol,
		Advice: Advice{"The server's answer is not PPTP.", "Check the server's address and port."},
	},
	{
		Code: ServerNoGRE, Text: "the server takes the call, but nothing comes by GRE; does a firewall on the way let IP protocol 47 through?", Exit: ExitNoAnswer,
		Advice: throughGRE,
	},
	{
		Code: ServerUnresolved, Text: "{server} has no IPv4 address[: {error}]", Exit: ExitNoAnswer,
		Advice: Advice{"The server's name has no IPv4 address.", "Check the spelling and this machine's DNS."},
	},
	{
		Code: DialFailed, Text: "{error}", Exit: ExitFailed,
		Advice: Advice{"This machine failed: {error}.", "Run the command as root, and check what the message names."},
	},
	{Code: HangsUp, Text: "client hangs up", Peer: sameText, Advice: Advice{Means: "The client ended the connection."}},
	{Code: GivenUp, Text: "dialling was given up", Advice: Advice{Means: "The client stopped before the connection was up."}},
}
