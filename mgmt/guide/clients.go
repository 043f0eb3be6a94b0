package guide

import (
	"fmt"
	"strings"
)

const (
	rasMan      = `HKLM:\SYSTEM\CurrentControlSet\Services\RasMan\Parameters`
	policyAgent = `HKLM:\SYSTEM\CurrentControlSet\Services\PolicyAgent`
)

// addVPN is the line that makes a connection of Windows.
func (b *builder) addVPN(name, kind, encryption string) string {
	method := ""
	for _, m := range []struct{ name, option string }{{"mschapv2", "MSChapv2"}, {"chap", "Chap"}, {"pap", "Pap"}} {
		if b.allows(m.name) {
			method = m.option
			break
		}
	}
	return fmt.Sprintf("Add-VpnConnection -Name %s -ServerAddress %s -TunnelType %s -AuthenticationMethod %s -EncryptionLevel %s -Force",
		powerShell(name), powerShell(b.Address), kind, method, encryption)
}

func (b *builder) windows() {
	if !b.allows("mschapv2") && !b.allows("chap") && !b.allows("pap") {
		b.note("Windows knows MS-CHAPv2, CHAP and PAP, and the server allows none of them: add MS-CHAPv2 to {ppp.authentication}.")
		return
	}
	connect := func(name string) Step {
		return Step{
			"Connect: Settings > Network & internet > VPN > " + name + " > Connect, with the user name " + b.Name + " and " + b.secret() + ". Or in a window of PowerShell, which asks for it:",
			"rasdial " + powerShell(name) + " " + powerShell(b.Name) + " *",
		}
	}
	if b.pptp {
		level := "Optional"
		switch {
		case b.encrypted() && b.MPPE == "maximum":
			level = "Maximum"
		case b.encrypted():
			level = "Required"
		}
		b.way("PPTP",
			Step{"Make the connection, in PowerShell:", b.addVPN("vpnd PPTP", "Pptp", level)},
			Step{"Or by hand: Settings > Network & internet > VPN > Add VPN: provider Windows (built-in), server " + b.Address +
				", VPN type PPTP, type of sign-in info: user name and password.", ""},
			connect("vpnd PPTP"))
	}
	if b.l2tp {
		b.way("L2TP without IPsec",
			Step{
				"Windows does L2TP by IPsec alone until it is told otherwise, for all L2TP connections of the machine (value 0 takes it back). In PowerShell as administrator, then restart:",
				"New-ItemProperty -Path " + rasMan + " -Name ProhibitIpSec -PropertyType DWord -Value 1 -Force",
			},
			Step{"Make the connection:", b.addVPN("vpnd L2TP", "L2tp", "Optional")},
			connect("vpnd L2TP"))
		if b.TunnelSecret {
			b.note("Windows knows no L2TP tunnel secret: with l2tp.secret set it cannot connect by L2TP.")
		}
	}
	b.note("All traffic goes through the connection unless -SplitTunneling is added; then Windows asks the server for routes (network.routes).")
	b.note("L2TP with IPsec, where a server offers it: ProhibitIpSec has to be 0 or missing, and if the server or the client is behind NAT, "+
		"AssumeUDPEncapsulationContextOnSendRule has to be 2, with a restart (error 809 otherwise; some Windows updates take it away): New-ItemProperty -Path %s "+
		"-Name AssumeUDPEncapsulationContextOnSendRule -PropertyType DWord -Value 2 -Force", policyAgent)
}

func (b *builder) smartVPN() {
	if !b.pptp && !b.l2tp {
		return
	}
	kind := "PPTP"
	if !b.pptp {
		kind = "L2TP (not L2TP over IPsec)"
	}
	steps := []Step{{"Profiles > Add: a profile name, type " + kind + ", server " + b.Address + ", user name " + b.Name + ".", ""}}
	switch {
	case b.MOTP:
		steps = append(steps,
			Step{"Authentication type: Mobile One-Time (mOTP). mOTP Settings: built-in OTP generator. Its secret has to be the one of the profile at the server: " +
				"either generate it here and give it to the server, which asks for secret and PIN: {own-token}.", ""},
			Step{"Connect, and enter the PIN (4 to 7 digits). The client computes the code.", ""})
	default:
		steps = append(steps, Step{"Authentication type: user name and password. Connect with " + b.secret() + ".", ""})
	}
	if b.encrypted() && b.pptp {
		steps = append(steps, Step{"Encryption: require encryption.", ""})
	}
	b.way(kind, steps...)
	b.note("The Smart VPN Client uses the dial-up of Windows: its error numbers are those of Windows.")
	if b.l2tp {
		b.note("L2TP without IPsec needs the registry value ProhibitIpSec = 1 in %s and a restart (see the page for Windows).", rasMan)
	}
	b.note("The computer's clock decides which code it computes: compare it with the server's ({time}), both in UTC.")
}

func (b *builder) macOS() {
	b.note("macOS has no PPTP since 10.12 (2016).")
	if b.TunnelSecret {
		b.note("macOS knows no L2TP tunnel secret: with l2tp.secret set it cannot connect.")
	}
	if !b.l2tp {
		return
	}
	b.way("L2TP without IPsec, which Apple does not support",
		Step{
			"System Settings offer L2TP over IPsec alone. In the Terminal, have the system's PPP leave IPsec out; remove the file to take it back:",
			`printf 'plugin L2TP.ppp\nl2tpnoipsec\n' | sudo tee /etc/ppp/options`,
		},
		Step{"System Settings > VPN > Add VPN Configuration > L2TP over IPSec: server address " + b.Address + ", account name " + b.Name +
			", user authentication: password; the shared secret is not used, but may not be empty: enter any word.", ""},
		Step{"In Options, tick Send all traffic over VPN connection, if it shall all go there: without it, only the server's network is reached.", ""},
		Step{"Connect with " + b.secret() + ". If the form has saved a password, clear the field first.", ""})
	b.note("Two Macs behind one router may be connected at once.")
}

func (b *builder) iOS() {
	b.note("iOS has no PPTP since version 10 (2016), and does L2TP with IPsec alone, which the server does not offer yet: an iPhone or iPad cannot connect.")
}

func (b *builder) android() {
	b.note("Android 12 and later take no new profiles for PPTP and L2TP; profiles from before an update go on working for a while at best. No app can bring PPTP back: it may not send GRE.")
	b.note("Android does L2TP with IPsec alone, which the server does not offer yet.")
	if !b.pptp {
		return
	}
	encryption := "leave PPP encryption (MPPE) unticked"
	if b.encrypted() {
		encryption = "tick PPP encryption (MPPE)"
	}
	b.way("PPTP, up to Android 11",
		Step{"Settings > Network & internet > Advanced > VPN > +: a name, type PPTP, server address " + b.Address + "; " + encryption + "; save.", ""},
		Step{"Tap the name, enter the user name " + b.Name + " and " + b.secret() + "; leave Save account information unticked with one-time passwords; Connect.", ""})
	b.note("Android hangs up by itself after 30 minutes without data. Many mobile networks let no GRE through: try over Wi-Fi.")
}

func (b *builder) linux() {
	var refused []string
	for _, m := range []string{"pap", "chap", "mschap", "mschapv2"} {
		if !b.allows(m) || b.encrypted() && m != "mschapv2" {
			refused = append(refused, "refuse-"+m+"=yes")
		}
	}
	refused = append(refused, "refuse-eap=yes")
	nm := func(kind string, more ...string) string {
		data := append([]string{"gateway=" + b.Address, "user=" + b.Name, "password-flags=2"}, more...)
		return "nmcli connection add type vpn con-name vpnd-" + kind + " ifname '*' vpn-type " + kind + " vpn.data " +
			shell(strings.Join(append(data, refused...), ", "))
	}
	dial := func(kind, more string) string {
		return "sudo vpnd dial " + shell(b.Address) + " --type " + kind + " --user " + shell(b.Name) + more + " --route default"
	}
	motp := ""
	if b.MOTP {
		motp = " --motp-file FILE"
	}
	up := func(kind string) Step {
		return Step{"Connect; it asks for the password, which is " + b.secret() + ":", "nmcli --ask connection up vpnd-" + kind}
	}
	if b.pptp {
		var more []string
		option, pppd := "", ""
		if b.encrypted() {
			more, option, pppd = []string{"require-mppe-128=yes"}, " --mppe", " require-mppe-128"
		}
		b.way("PPTP with NetworkManager (package network-manager-pptp)", Step{"Make the connection:", nm("pptp", more...)}, up("pptp"))
		b.way("PPTP with vpnd, without pppd", Step{"It asks for what is not given, and hangs up on Ctrl-C; FILE holds secret and PIN of a mOTP token, a line each:", dial("pptp", motp+option)})
		b.way("PPTP with pppd and pptp-linux", Step{
			"CODE is the password:",
			"sudo pppd nodetach noauth user " + shell(b.Name) + " password CODE remotename vpnd" + pppd + ` pty "pptp ` + shell(b.Address) + ` --nolaunchpppd"`,
		})
	}
	if b.l2tp {
		l2tp, mppe := []string{"ipsec-enabled=no"}, ""
		if b.encrypted() && b.MPPE != "optional" {
			l2tp, mppe = append(l2tp, "require-mppe=yes"), " --mppe"
		}
		b.way("L2TP with NetworkManager (package network-manager-l2tp)", Step{"Make the connection:", nm("l2tp", l2tp...)}, up("l2tp"))
		tunnel := ""
		if b.TunnelSecret {
			tunnel = " --secret-file FILE"
			b.note("NetworkManager's L2TP has no field for a tunnel secret; vpnd dial and xl2tpd have.")
		}
		b.way("L2TP with vpnd", Step{"It asks for what is not given, and hangs up on Ctrl-C:", dial("l2tp", motp+mppe+tunnel)})
	}
	if b.pptp {
		b.note("Where Linux itself is the router between, PPTP needs its modules nf_conntrack_pptp and nf_nat_pptp.")
	}
}
