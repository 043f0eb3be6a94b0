package guide

import "vpnd/internal/reason"

// Number is an error number that a client shows, with its meaning for this server.
type Number struct {
	Number  string `json:"number"`
	Says    string `json:"says"`
	Meaning string `json:"meaning"`
	Fix     string `json:"fix"`
	OnPage  []Part `json:"-"` // Fix, with links for commands
}

// Numbers are the error numbers of Windows and of the Smart VPN Client, which is built on it, for a
// user; "": for any user.
func Numbers(user string) []Number {
	all := make([]Number, len(numbers))
	for i, n := range numbers {
		all[i] = Number{Number: n[0], Says: n[1], Meaning: n[2]}
		all[i].Fix, all[i].OnPage = said(n[3], user)
	}
	return all
}

// numbers holds number, text, meaning and fix.
var numbers = [][4]string{
	{"619", "A connection to the remote computer could not be established", "PPTP: TCP 1723 arrives, but GRE (IP protocol 47) does not.", reason.OpenGRE},
	{
		"628", "The connection was terminated by the remote computer before it could be completed", "The server hung up during the negotiation.",
		"{attempts} shows why. Often the client uses an authentication that the server does not allow.",
	},
	{"629", "The connection was closed by the remote computer", "The server hung up.", "{attempts} shows why: schedule, quota, time limits, or an administrator."},
	{"646", "The account is not permitted to log on at this time of day", "The schedule does not allow this time.", "{schedule} changes it."},
	{"647", "The account is disabled", "The account is disabled or has expired.", "Enable it ({enable}), or set a later day ({expires})."},
	{
		"649", "The account does not have permission to dial in", "Name and password are right, but the profile or the server does not let the user in: dial-in type, remote node, IPsec policy, quota, number of connections, or no free address.",
		"{attempts} shows the reason.",
	},
	{
		"691", "The user name or password is not recognized, or the authentication protocol is not permitted", "The name, the password or the one-time password is wrong, the code was used before, or the user is locked. The server does not tell the client which.",
		"{attempts} shows the reason. With one-time passwords, compare the clocks, and have Windows ask for the password each time (it repeats a saved one).",
	},
	{"718", "The connection timed out waiting for a valid response from the remote computer", "Packets are lost after the call was accepted.", "Do the same as for 619. Then try a smaller MTU."},
	{"720", "No PPP control protocols configured", "Client and server did not agree on an address.", "Turn on IPv4 in the connection's properties. (If vpnd's pool is empty, the number is 649.) A broken WAN Miniport of Windows shows 720 with every server: remove it in the Device Manager and restart."},
	{"721", "The remote computer did not respond", "The same as 619, on older versions of Windows.", reason.OpenGRE},
	{
		"734", "The PPP link control protocol was terminated", "Client and server have no authentication in common, or do not agree on encryption.",
		"In the connection's security properties, allow MS-CHAPv2. With only PAP or CHAP, set the encryption to optional, because they yield no keys.",
	},
	{"741", "The local computer does not support the required encryption type", "The server requires encryption (MPPE), but the client has it turned off.", "Set the connection to require encryption, with MS-CHAPv2."},
	{
		"742", "The remote computer does not support the required data encryption type", "The client requires encryption. The server has it turned off, or the log-in used PAP or CHAP, which yield no keys, or the connection is L2TP without IPsec.",
		"Set {ppp.mppe} to optional or required, and use MS-CHAPv2 at the client. For plain L2TP, set the client's encryption to optional.",
	},
	{"766", "A certificate could not be found", "L2TP: Windows wants IPsec with a certificate.", "The server does not offer IPsec yet. Set ProhibitIpSec to 1 (see the page for Windows), or use PPTP."},
	{
		"787, 788", "The L2TP connection failed because the security layer could not negotiate", "L2TP: Windows tried IPsec.",
		"The server does not offer IPsec yet. Set ProhibitIpSec to 1 (see the page for Windows), or use PPTP.",
	},
	{
		"789", "The L2TP connection attempt failed because the security layer encountered a processing error", "L2TP: Windows tries IPsec, but the server does not offer it yet. Or ProhibitIpSec was set without a restart.",
		"Set ProhibitIpSec to 1 and restart, or use PPTP.",
	},
	{"792", "The L2TP connection attempt failed because security negotiation timed out", "L2TP: Windows tried IPsec and got no answer.", "Do the same as for 789."},
	{"800", "The remote connection was not made because the attempted VPN tunnels failed", "The client cannot reach the server.", "Check the address. Firewalls must let TCP 1723 (PPTP) or UDP 1701 (L2TP) through, and the service must be turned on."},
	{"806", "The VPN connection cannot be completed: a device between is not configured to allow GRE", "PPTP: GRE (IP protocol 47) does not arrive.", reason.OpenGRE},
	{"807", "The network connection between your computer and the VPN server was interrupted", "Packets are lost, or the server is overloaded.", "Dial again. Check the network between client and server."},
	{
		"809", "The network connection could not be established because the remote server is not responding", "L2TP with IPsec: nobody answers on UDP 500 and 4500, because the server does not offer IPsec yet, or a device on the way blocks them.",
		"Set ProhibitIpSec to 1 for plain L2TP (UDP 1701), or use PPTP. With another server behind NAT, set AssumeUDPEncapsulationContextOnSendRule to 2 and restart.",
	},
	{"812", "The connection was prevented because of a policy: the authentication method does not match", "The client's authentication is not allowed.", "Allow MS-CHAPv2 at both ends."},
	{"868", "The name of the remote access server did not resolve", "DNS does not know the server's name.", "Check the spelling, or use the server's address."},
}
