package reason

// Codes of calls that were not established.
const (
	NoCommonAuth        Code = "no_common_authentication"
	OnlyPAP             Code = "only_pap"
	AuthRefused         Code = "authentication_refused"
	ProtocolRejected    Code = "protocol_rejected"
	AuthTimeout         Code = "authentication_timeout"
	NoAuthAnswer        Code = "no_answer_to_authentication"
	HungUpInAuth        Code = "hung_up_during_authentication"
	FailedAgain         Code = "failed_second_challenge"
	MutualRefused       Code = "server_not_accepted"
	MutualTimeout       Code = "server_not_answered"
	MPPEWithoutKeys     Code = "mppe_without_keys"
	MPPENoKeyMethod     Code = "mppe_no_key_method"
	MPPENotAgreed       Code = "mppe_not_agreed"
	MPPERefused         Code = "mppe_refused"
	MPPETimeout         Code = "mppe_timeout"
	ClientInsists       Code = "client_insists_on_address"
	ClientWantsNone     Code = "client_takes_no_address"
	ServerAddress       Code = "server_address_not_accepted"
	NoIP                Code = "no_ip"
	IPTimeout           Code = "ip_timeout"
	HungUpBeforeUp      Code = "hung_up_before_connected"
	NothingCame         Code = "no_ppp_frame"
	HungUpInLCP         Code = "hung_up_during_lcp"
	NoLCPAnswer         Code = "no_answer_to_lcp"
	LCPTimeout          Code = "lcp_timeout"
	LCPNotAgreed        Code = "lcp_not_agreed"
	LCPRejected         Code = "lcp_rejected"
	LoopedBack          Code = "looped_back"
	WrongTunnelSecret   Code = "wrong_tunnel_secret"
	TunnelSecretRefused Code = "tunnel_secret_not_accepted"
	HiddenAVP           Code = "hidden_avp"
	NoTunnelSecret      Code = "no_tunnel_secret"
	CallLimit           Code = "call_limit"
	PendingLimit        Code = "pending_limit"
	NoMoreCalls         Code = "no_more_calls"
	HungUpAtOnce        Code = "hung_up_at_once"
)

const (
	// OpenGRE is the fix when GRE does not arrive.
	OpenGRE = "Every firewall and router on the way must let GRE (IP protocol 47) through, not only TCP 1723. On a home router turn PPTP pass-through on. " +
		"Mobile networks often block GRE: try another network, or L2TP."
	authentications = " {ppp.authentication} lists the allowed methods."
	useMSCHAPv2     = "Turn on MS-CHAPv2 at the client."
	showCapture     = "Dial again. If it happens each time, a capture ({capture}) shows the frames."
)

// Advice that several codes share.
var (
	throughGRE = Advice{
		"The call was set up, but no packet came through it: GRE packets do not reach the server, or the server's do not reach the client.",
		OpenGRE,
	}
	mppeAdvice = Advice{
		"Encryption (MPPE) is required, but client and server did not agree to it.",
		"Turn on encryption at the client (Windows: Require encryption; pppd: require-mppe-128). Clients that know only 40 or 56 bits are too weak for the server.",
	}
	mppeOverL2TP = &Advice{
		"Encryption (MPPE) is required, but the client does not use it over L2TP.",
		"Phones and Macs never use it over L2TP. Use PPTP at the client, or set {ppp.mppe} to optional.",
	}
	secretAdvice = Advice{
		"The client has another L2TP tunnel secret than the server.",
		"Set the same one at both ends: l2tp.secret here, \"L2TP secret\" or \"challenge secret\" at the client. It is neither the user's password nor IPsec's pre-shared key. " +
			"Windows, macOS and iOS have no such secret: leave l2tp.secret empty for them.",
	}
	throughL2TP = &Advice{
		"The call was set up, but no packet came through it.",
		"Firewalls must let UDP 1701 through both ways. Dial again. If it happens each time, look into the client's log.",
	}
	noPassword = Advice{
		"The server asked the client for its password and got no answer.",
		"Look at the client: it may be waiting for its user to type the password, or may have none. If packets were lost, dial again.",
	}
	noAddress = Advice{
		"The client did not agree to an address.",
		"Have the client get its address and name servers from the server instead of fixed ones, and turn on IPv4 in its profile.",
	}
	noLink = Advice{"Client and server did not agree on the link.", showCapture}
)

var negotiationRows = []Row{
	{
		Code: OnlyPAP, Text: "peer accepts no allowed authentication: it asks for PAP", Peer: "no allowed authentication", Exit: ExitProtocol,
		Advice: Advice{"The client offers only PAP, which is turned off.", "Allow MS-CHAPv2 at the client." + authentications + " PAP sends the password in clear text."},
	},
	{
		Code: NoCommonAuth, Text: "peer accepts no allowed authentication[: it asks for {methods}]", Peer: "no allowed authentication", Exit: ExitProtocol,
		Advice: Advice{"Client and server have no authentication in common. {methods}", useMSCHAPv2 + " The server does not offer EAP." + authentications},
	},
	{
		Code: AuthRefused, Text: "peer refuses to authenticate", Peer: sameText, Exit: ExitProtocol,
		Advice: Advice{"The client refuses to send a name and a password.", "Set both at the client, and turn on MS-CHAPv2. pppd needs the option user, and a line in chap-secrets."},
	},
	{
		Code: ProtocolRejected, Text: "peer rejects {protocol}", Exit: ExitProtocol,
		Advice: Advice{"The client does not know {protocol}, although it had agreed to it.", useMSCHAPv2 + authentications},
	},
	{
		Code: AuthTimeout, Text: "peer did not authenticate within {time}", Peer: "authentication took too long", Exit: ExitNoAnswer,
		Advice: noPassword,
	},
	{
		Code: NoAuthAnswer, Text: "no answer to the authentication", Peer: sameText, Exit: ExitNoAnswer,
		Advice: noPassword,
	},
	{
		Code: HungUpInAuth, Text: "peer hung up during the authentication[: it says {message}]", Exit: ExitProtocol,
		Advice: Advice{
			"The client hung up during the authentication. {message}",
			"Read the client's own message. It may not accept the server's authentication, or may have no password." + authentications,
		},
	},
	{
		Code: FailedAgain, Text: "peer failed to authenticate when it was challenged again", MSCHAP: MSCHAPDenied,
		Advice: Advice{
			"The server asked for the password again on the open connection, and the client's answer was wrong.",
			"Dial again. {ppp.chap_interval} says how often the server asks; 0 is never.",
		},
	},
	{
		Code: MutualRefused, Text: "client rejects the server's name and password",
		Advice: Advice{
			"The client asked the server to authenticate itself (mutual authentication), and rejects its name or password.",
			"Compare {ppp.mutual_pap} with the client's settings, or turn mutual authentication off at the client.",
		},
	},
	{
		Code: MutualTimeout, Text: "client did not answer the server's name and password within {time}", Peer: "authentication took too long",
		Advice: Advice{
			"The client asked the server to authenticate itself (mutual authentication), and then did not answer.",
			"Turn mutual authentication off at the client.",
		},
	},
	{
		Code: MPPENoKeyMethod, Text: "MPPE is required, but no allowed authentication yields keys", Exit: ExitProtocol,
		Advice: Advice{
			"Encryption (MPPE) is required, but no allowed authentication yields keys. No client can connect.",
			"Add MS-CHAPv2 to {ppp.authentication}, or set {ppp.mppe} to optional.",
		},
	},
	{
		Code: MPPEWithoutKeys, Text: "MPPE is required, but the authentication yields no keys", Peer: "MPPE required", Exit: ExitProtocol,
		Advice: Advice{"Encryption (MPPE) is required, but the client has logged in by PAP or CHAP, which yield no keys.", useMSCHAPv2},
	},
	{
		Code: MPPERefused, Text: "MPPE is required, but the peer does not agree to it", Peer: sameText, Exit: ExitProtocol,
		Advice: mppeAdvice, L2TP: mppeOverL2TP,
	},
	{
		Code: MPPENotAgreed, Text: "MPPE is required, but was not agreed within {time}", Peer: "set-up took too long", Exit: ExitProtocol,
		Advice: mppeAdvice, L2TP: mppeOverL2TP,
	},
	{
		Code: MPPETimeout, Text: "MPPE was not agreed within {time}", Peer: "set-up took too long", Exit: ExitProtocol,
		Advice: Advice{
			"The client began to negotiate encryption (MPPE) and did not finish.",
			showCapture + " {ppp.mppe} says what the server accepts.",
		},
	},
	{
		Code: ClientInsists, Text: "client insists on {wanted}; {user}'s address is {address}[: it says {message}]", Peer: sameText, Exit: ExitProtocol,
		Advice: Advice{
			"The client wants the address {wanted}. The server gives {user} the address {address}.",
			"Have the client get its address from the server (no fixed address in its profile; pppd needs ipcp-accept-local), or make that address the user's fixed one.",
		},
	},
	{
		Code: ClientWantsNone, Text: "client asks for no address; {user}'s address is {address}[: it says {message}]", Peer: sameText, Exit: ExitProtocol,
		Advice: Advice{
			"The client takes no address from the server, which has {address} for {user}.",
			"Have the client get its address from the server, and turn on IPv4 in its profile.",
		},
	},
	{
		Code: ServerAddress, Text: "client does not accept {address} as the server's address", Peer: sameText, Exit: ExitProtocol,
		Advice: Advice{
			"The client wants the server to have another address than {address}.",
			"Remove the server's address from the client's profile. pppd needs ipcp-accept-remote.",
		},
	},
	{
		Code: NoIP, Text: "peer does not speak IP: {why}", Peer: "no IP", Exit: ExitProtocol,
		Advice: noAddress,
	},
	{
		Code: IPTimeout, Text: "IPCP was not agreed within {time}", Peer: "set-up took too long", Exit: ExitProtocol,
		Advice: noAddress,
	},
	{
		Code: HungUpBeforeUp, Text: "peer hung up before it was connected[: it says {message}]", Exit: ExitProtocol,
		Advice: Advice{
			"The client hung up after its password was accepted and before it was connected. {message}",
			"Often the two disagree about encryption: compare {ppp.mppe} with the client's settings. A capture ({capture}) shows the frames.",
		},
	},
	{
		Code: NothingCame, Text: "{end}; no PPP frame had come from the peer", Exit: ExitNoAnswer,
		Advice: throughGRE, L2TP: throughL2TP,
	},
	{
		Code: NoLCPAnswer, Text: "no answer to LCP: nothing has come from the peer[ within {time}]", Exit: ExitNoAnswer,
		Advice: throughGRE, L2TP: throughL2TP,
	},
	{
		Code: HungUpInLCP, Text: "{end}: it asks for {methods}", Exit: ExitProtocol,
		Advice: Advice{"The client asks for an authentication that is not allowed: {methods}.", useMSCHAPv2 + " The server does not offer EAP." + authentications},
	},
	{
		Code: LCPTimeout, Text: "LCP was not agreed within {time}", Peer: "set-up took too long", Exit: ExitProtocol,
		Advice: noLink,
	},
	{
		Code: LCPNotAgreed, Text: "peer does not agree to LCP, or no longer answers", Exit: ExitProtocol,
		Advice: noLink,
	},
	{
		Code: LCPRejected, Text: "peer rejects LCP's own codes", Exit: ExitProtocol,
		Advice: Advice{
			"The client does not send PPP, or the server gets its own packets back.",
			"Check the devices between client and server. A capture ({capture}) shows the frames.",
		},
	},
	{
		Code: LoopedBack, Text: "the line is looped back", Peer: sameText, Exit: ExitProtocol,
		Advice: Advice{
			"The server gets its own packets back.",
			"Check the devices between client and server. A capture ({capture}) shows the frames.",
		},
	},
	{
		Code: WrongTunnelSecret, Text: "wrong tunnel secret", Peer: sameText, StopCCN: Result{Code: 4},
		Advice: secretAdvice,
	},
	{
		Code: TunnelSecretRefused, Text: "client does not accept our tunnel secret", Advice: secretAdvice,
	},
	{
		Code: HiddenAVP, Text: "cannot decode a hidden AVP: is the secret right?", Peer: sameText, StopCCN: Result{Code: 4},
		Advice: secretAdvice,
	},
	{
		Code: NoTunnelSecret, Text: "client wants a tunnel secret, but l2tp.secret is empty", Peer: "no tunnel secret here", StopCCN: Result{Code: 4},
		Advice: Advice{
			"The client has an L2TP tunnel secret, but the server has none.",
			"Leave the field empty at the client (it is not IPsec's pre-shared key), or set l2tp.secret.",
		},
	},
	{
		Code: CallLimit, Text: "call limit reached", Peer: sameText, CDN: Result{4, 4},
		Advice: Advice{
			"The server has as many calls as it takes.",
			"{connections} shows the users. If most calls never come up, somebody is flooding the server: block that address.",
		},
	},
	{
		Code: PendingLimit, Text: "too many calls of this address wait for their log-in", Peer: sameText, CDN: Result{4, 4},
		Advice: Advice{"Too many calls of this address wait for their log-in.", "If you do not know the address, block it at the firewall."},
	},
	{
		Code: NoMoreCalls, Text: "the server takes no more calls", Peer: sameText, CDN: Result{4, 4},
		Advice: Advice{"The service is turned off, or the server is about to shut down.", "Dial again when it is on: {services}."},
	},
	{
		Code: HungUpAtOnce, Text: "client hung up at once",
		Advice: Advice{"The client hung up before it got an answer.", "Dial again. The client's own log may say why."},
	},
}
