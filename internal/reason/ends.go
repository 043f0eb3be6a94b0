package reason

// Codes for the end of established connections, and of calls that ended with their carrier.
const (
	PeerHungUp          Code = "peer_hung_up"
	ControlClosed       Code = "control_connection_closed"
	CallCleared         Code = "call_cleared"
	CallDisconnected    Code = "call_disconnected"
	TunnelClosed        Code = "tunnel_closed"
	ControlLost         Code = "control_connection_lost"
	EchoUnanswered      Code = "echo_request_unanswered"
	TunnelSilent        Code = "tunnel_silent"
	EchoTimeout         Code = "echo_timeout"
	HungUpUndecryptable Code = "undecryptable_hung_up"
	Undecryptable       Code = "undecryptable"
	EncryptionEnded     Code = "encryption_ended"
	IdleTimeout         Code = "idle_timeout"
	SessionTime         Code = "session_time"
	ScheduleEnds        Code = "schedule_ends"
	Replaced            Code = "replaced"
	TunnelReopened      Code = "tunnel_reopened"
	Dropped             Code = "dropped"
	UserRemoved         Code = "user_removed"
	AddressLeftPool     Code = "address_left_pool"
	ShuttingDown        Code = "shutting_down"
	ServerFault         Code = "server_fault"
	ServiceOff          Code = "service_off"
	NotStarted          Code = "not_started"
	OtherVersion        Code = "other_version"
	BadMessage          Code = "bad_message"
	UnknownMessage      Code = "unknown_message"
	UnknownAVP          Code = "unknown_avp"
	NoRoomClients       Code = "no_room_clients"
	NoRoomTunnels       Code = "no_room_tunnels"
	NoCall              Code = "no_call"
	NoStartRequest      Code = "no_start_request"
	NoSCCCN             Code = "no_scccn"
	ClientDeaf          Code = "client_does_not_hear"
	StopUnanswered      Code = "stop_request_unanswered"
	ControlStopped      Code = "control_connection_stopped"
	OverBeforeBegin     Code = "over_before_begin"
)

const (
	floodHint = "Dial again. If it happens often, somebody is flooding the server."
	losesMany = "Dial again. If it happens often, check the client's network: it loses thousands of packets at a time."
)

// Advice that several codes share.
var (
	clientEnded = Advice{Means: "The client ended the call."}
	clientGone  = Advice{
		"The client no longer answers.",
		"Its network has failed, or it went to sleep. If this happens again and again after the same time, a router on the way forgets the connection: " +
			"shorten {ppp.echo_interval} (or l2tp.hello_interval).",
	}
	clientBreaksRules = Advice{"The client does not follow the protocol.", "Check which program dials there. It may not be a VPN client."}
	clientStopped     = Advice{"The client did not go on.", "Dial again."}
)

var endRows = []Row{
	{
		Code: PeerHungUp, Text: "peer hung up[: it says {message}]", Exit: ExitLost,
		Advice: Advice{Means: "The client hung up. {message}"},
	},
	{Code: ControlClosed, Text: "client closed the control connection", Advice: clientEnded},
	{Code: CallCleared, Text: "client cleared the call", Advice: clientEnded},
	{Code: CallDisconnected, Text: "client disconnected the call[ ({result})]", Advice: clientEnded},
	{Code: TunnelClosed, Text: "client closed the tunnel", Advice: clientEnded},
	{
		Code: ControlLost, Text: "control connection lost[: {error}]",
		Advice: clientGone,
	},
	{
		Code: EchoUnanswered, Text: "client does not answer Echo-Request",
		Advice: clientGone,
	},
	{
		Code: TunnelSilent, Text: "client no longer answers",
		Advice: clientGone,
	},
	{
		Code: EchoTimeout, Text: "echo time-out: nothing came from the peer for {time}", Exit: ExitLost,
		Advice: Advice{
			"Nothing came from the client for {time}, and it did not answer echo requests.",
			"Its network has failed, or it went to sleep, as phones do. Dial again.",
		},
	},
	{
		Code: HungUpUndecryptable, Text: "packets could not be decrypted, and the peer hung up[: it says {message}]", Exit: ExitLost,
		Advice: Advice{
			"So many packets in a row were lost that encryption had to start again, but the client hung up instead. {message}",
			losesMany,
		},
	},
	{
		Code: Undecryptable, Text: "packets could not be decrypted, although encryption had started again", Peer: "packets could not be decrypted", Exit: ExitLost,
		Advice: Advice{
			"The client's packets cannot be decrypted, even after encryption started again.",
			"Dial again. If it happens often, the client's network loses thousands of packets at a time, or somebody forges packets.",
		},
	},
	{
		Code: EncryptionEnded, Text: "the peer ended the agreed encryption (MPPE)", Peer: sameText, Exit: ExitLost,
		Advice: Advice{
			"Encryption (MPPE) was agreed, and then the client wanted to go on without it. No packet passed in clear text.",
			"Dial again. If it happens again, check the client. Somebody on the way may also have forged its packet.",
		},
	},
	{
		Code: IdleTimeout, Text: "idle time-out", Peer: sameText,
		Advice: Advice{"No data passed for as long as the profile's Idle Timeout.", "{idle-timeout} changes it; 0 is never."},
	},
	{
		Code: SessionTime, Text: "session time limit reached", Peer: sameText,
		Advice: Advice{"The connection lasted as long as the profile allows.", "Dial again. {session-time} changes the limit."},
	},
	{
		Code: ScheduleEnds, Text: "the user's schedule ends", Peer: sameText,
		Advice: Advice{"The time in which the user may be connected is over.", "{schedule} changes it."},
	},
	{
		Code: Replaced, Text: "replaced by a new dial-in of the user",
		Advice: Advice{
			"The user dialled in again, and may have only that many connections at once.",
			"If it was not the user, change the password. {max-connections} allows more connections.",
		},
	},
	{Code: TunnelReopened, Text: "client opened its tunnel again", Advice: Advice{Means: "The client had lost its tunnel and opened it again."}},
	{Code: Dropped, Text: "{text}", Peer: sameText, Advice: Advice{Means: "An administrator dropped the connection."}},
	{Code: UserRemoved, Text: "user was removed", Label: "unknown_user", MSCHAP: MSCHAPDenied, Advice: Advice{Means: "The user was removed."}},
	{
		Code: AddressLeftPool, Text: "the address is no longer in a pool", Peer: sameText,
		Advice: Advice{"The configuration's address pools have changed, and the user's address is in none of them.", "Dial again to get a new address."},
	},
	{
		Code: ShuttingDown, Text: "server is shutting down", Label: labelServer, MSCHAP: MSCHAPNotAllowed, Peer: sameText,
		Advice: Advice{"The server was stopped.", "Dial again when it runs."},
	},
	{
		Code: ServiceOff, Text: "{service} is turned off", Label: labelServer, MSCHAP: MSCHAPNotAllowed, Peer: sameText,
		Advice: Advice{"An administrator turned {service} off.", "Dial again when it is on: {services}."},
	},
	{
		Code: ServerFault, Text: "fault of the server[ ({detail})]", Label: labelServer, MSCHAP: MSCHAPNotAllowed, Exit: ExitProtocol,
		Advice: Advice{
			"A fault of the server ended the connection.",
			"Dial again, and report it: see the log line \"session ended by a fault of the server\".",
		},
	},
	{
		Code: NotStarted, Text: "{message} before {start}", Exit: ExitProtocol,
		Advice: clientBreaksRules,
	},
	{
		Code: OtherVersion, Text: "client speaks another version of {protocol}", StopCCN: Result{5, 0x0100},
		Advice: clientBreaksRules,
	},
	{
		Code: BadMessage, Text: "{fault}",
		Advice: clientBreaksRules,
	},
	{
		Code: UnknownMessage, Text: "client sent an unknown {message}", Peer: "unknown message type", StopCCN: Result{2, 8},
		Advice: clientBreaksRules,
	},
	{
		Code: UnknownAVP, Text: "client sent an unknown mandatory AVP", Peer: "unknown mandatory AVP", StopCCN: Result{2, 8}, CDN: Result{2, 8},
		Advice: clientBreaksRules,
	},
	{
		Code: NoRoomClients, Text: "no room: too many clients have not logged in", Peer: sameText,
		Advice: Advice{
			"Another client needed the place, because too many clients had not logged in.",
			floodHint + " See limits.unauthenticated_per_address.",
		},
	},
	{
		Code: NoRoomTunnels, Text: "no room: too many tunnels wait for their peer",
		Advice: Advice{"The client opened a tunnel and did not call.", floodHint},
	},
	{
		Code: NoCall, Text: "no call within {time}", Peer: sameText,
		Advice: Advice{"The client opened a control connection or tunnel and did not call.", floodHint},
	},
	{Code: NoStartRequest, Text: "no Start-Control-Connection-Request within {time}", Advice: clientStopped},
	{Code: NoSCCCN, Text: "no SCCCN within {time}", Advice: clientStopped},
	{Code: ClientDeaf, Text: "no sign within {time} that the client hears us", Advice: clientStopped},
	{Code: StopUnanswered, Text: "client did not answer Stop-Control-Connection-Request", Advice: clientStopped},
	{Code: ControlStopped, Text: "stopped", Advice: clientStopped},
	{Code: OverBeforeBegin, Text: "the call was over before it began", Advice: clientStopped},
}
