package guide

import (
	"fmt"
	"strings"
)

const (
	rasMan      = `HKLM:\SYSTEM\CurrentControlSet\Services\RasMan\Parameters`
	policyAgent = `HKLM:\SYSTEM\CurrentControlSet\Services\PolicyAgent`
)

// addVPN is the command that adds a connection to Windows.
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
		b.note("Windows supports MS-CHAPv2, CHAP and PAP, but the server allows none of them. Add MS-CHAPv2 to {ppp.authentication}.")
		return
	}
	connect := func(name string) Step {
		return Step{
			"Connect: Settings > Network & internet > VPN > " + name + " > Connect, with the user name " + b.Name + " and " + b.secret() + ". Or in PowerShell, which asks for the password:",
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
			Step{"Create the connection in PowerShell:", b.addVPN("vpnd PPTP", "Pptp", level)},
			Step{"Or by hand: Settings > Network & internet > VPN > Add VPN: provider Windows (built-in), server " + b.Address +
				", VPN type PPTP, type of sign-in info: user name and password.", ""},
			connect("vpnd PPTP"))
	}
	if b.l2tp {
		b.way("L2TP without IPsec",
			Step{
				"By default, Windows uses L2TP only with IPsec. This registry value turns IPsec off for all L2TP connections of the machine (value 0 turns it on again). Run this in PowerShell as administrator, then restart:",
				"New-ItemProperty -Path " + rasMan + " -Name ProhibitIpSec -PropertyType DWord -Value 1 -Force",
			},
			Step{"Create the connection:", b.addVPN("vpnd L2TP", "L2tp", "Optional")},
			connect("vpnd L2TP"))
		if b.TunnelSecret {
			b.note("Windows does not support L2TP tunnel secrets. While l2tp.secret is set, it cannot connect by L2TP.")
		}
	}
	b.note("All traffic goes through the connection. With the option -SplitTunneling, Windows asks the server for routes (network.routes) instead.")
	b.note("With a server that offers L2TP with IPsec, ProhibitIpSec must be 0 or missing. If the server or the client is behind NAT, "+
		"AssumeUDPEncapsulationContextOnSendRule must be 2; otherwise error 809 appears. Restart after setting it. Some Windows updates remove it: New-ItemProperty -Path %s "+
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
			Step{"Authentication type: Mobile One-Time (mOTP). mOTP Settings: built-in OTP generator. The client and the server must have the same secret: " +
				"generate it in the client, then enter secret and PIN at the server: {own-token}.", ""},
			Step{"Connect, and enter the PIN (4 to 7 digits). The client computes the code.", ""})
	default:
		steps = append(steps, Step{"Authentication type: user name and password. Connect with " + b.secret() + ".", ""})
	}
	if b.encrypted() && b.pptp {
		steps = append(steps, Step{"Encryption: require encryption.", ""})
	}
	b.way(kind, steps...)
	b.note("The Smart VPN Client uses the dial-up of Windows and shows the error numbers of Windows.")
	if b.l2tp {
		b.note("L2TP without IPsec needs the registry value ProhibitIpSec = 1 in %s and a restart (see the page for Windows).", rasMan)
	}
	b.note("The client computes the code from the computer's clock. Compare it with the server's ({time}), both in UTC.")
}

func (b *builder) macOS() {
	b.note("macOS has had no PPTP since 10.12 (2016).")
	if b.TunnelSecret {
		b.note("macOS does not support L2TP tunnel secrets. While l2tp.secret is set, it cannot connect.")
	}
	if !b.l2tp {
		return
	}
	b.way("L2TP without IPsec, which Apple does not support",
		Step{
			"System Settings offers L2TP only over IPsec. This command in the Terminal turns IPsec off for L2TP. To turn it on again, remove the file:",
			`printf 'plugin L2TP.ppp\nl2tpnoipsec\n' | sudo tee /etc/ppp/options`,
		},
		Step{"System Settings > VPN > Add VPN Configuration > L2TP over IPSec: server address " + b.Address + ", account name " + b.Name +
			", user authentication: password. macOS does not use the shared secret, but the field cannot be empty: enter any word.", ""},
		Step{"To send all traffic through the connection, tick Send all traffic over VPN connection in Options. Without it, only the server's network is reachable.", ""},
		Step{"Connect with " + b.secret() + ". If the form has saved a password, clear the field first.", ""})
	b.note("Two Macs behind one router can be connected at the same time.")
}

func (b *builder) iOS() {
	b.note("iOS has had no PPTP since version 10 (2016), and it uses L2TP only with IPsec, which the server does not offer yet. An iPhone or iPad cannot connect.")
}

func (b *builder) android() {
	b.note("Android 12 and later accept no new profiles for PPTP and L2TP. Profiles from before the update may work for a while. Apps cannot add PPTP, because they are not allowed to send GRE.")
	b.note("Android uses L2TP only with IPsec, which the server does not offer yet.")
	if !b.pptp {
		return
	}
	encryption := "leave PPP encryption (MPPE) unticked"
	if b.encrypted() {
		encryption = "tick PPP encryption (MPPE)"
	}
	b.way("PPTP, up to Android 11",
		Step{"Settings > Network & internet > Advanced > VPN > +: a name, type PPTP, server address " + b.Address + "; " + encryption + "; save.", ""},
		Step{"Tap the name, enter the user name " + b.Name + " and " + b.secret() + ". With one-time passwords, leave Save account information unticked. Tap Connect.", ""})
	b.note("Android hangs up after 30 minutes without data. Many mobile networks block GRE: try Wi-Fi.")
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
		return Step{"Connect. The command asks for the password, which is " + b.secret() + ":", "nmcli --ask connection up vpnd-" + kind}
	}
	if b.pptp {
		var more []string
		option, pppd := "", ""
		if b.encrypted() {
			more, option, pppd = []string{"require-mppe-128=yes"}, " --mppe", " require-mppe-128"
		}
		b.way("PPTP with NetworkManager (package network-manager-pptp)", Step{"Create the connection:", nm("pptp", more...)}, up("pptp"))
		b.way("PPTP with vpnd, without pppd", Step{"The command asks for missing passwords and hangs up on Ctrl-C. FILE has the secret of a mOTP token in its first line and the PIN in its second:", dial("pptp", motp+option)})
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
		b.way("L2TP with NetworkManager (package network-manager-l2tp)", Step{"Create the connection:", nm("l2tp", l2tp...)}, up("l2tp"))
		tunnel := ""
		if b.TunnelSecret {
			tunnel = " --secret-file FILE"
			b.note("NetworkManager's L2TP has no field for a tunnel secret. vpnd dial and xl2tpd have one.")
		}
		b.way("L2TP with vpnd", Step{"The command asks for missing passwords and hangs up on Ctrl-C:", dial("l2tp", motp+mppe+tunnel)})
	}
	if b.pptp {
		b.note("If a router on the way runs Linux, PPTP needs its modules nf_conntrack_pptp and nf_nat_pptp.")
	}
}
