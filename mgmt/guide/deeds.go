package guide

import (
	"cmp"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Part is a piece of a text on a page. It is a link if Link is not empty.
type Part struct{ Text, Link string }

// A deed is an action that a text recommends, in braces. A terminal shows it as a command, and a
// page as a link to the place for it.
type deed struct{ command, label, link string }

// deeds are all actions, by their names in the texts. The user replaces NAME, and the user as part
// of a query replaces QUERY.
var deeds = map[string]deed{
	"user":            {"vpnd user show NAME", "the profile", "/users/NAME"},
	"unlock":          {"vpnd user unlock NAME", "Unlock", "/users/NAME#status"},
	"enable":          {"vpnd user enable NAME", "Enable this account", "/users/NAME#f-enabled"},
	"attempts":        {"vpnd user attempts NAME", "Last attempts", "/users/NAME#attempts"},
	"history":         {"vpnd user history NAME", "History", "/history?user=QUERY"},
	"new-token":       {"vpnd user motp NAME --new", "Generate", "/users/NAME#f-motp-secret"},
	"own-token":       {"vpnd user motp NAME --secret -", "mOTP Secret", "/users/NAME#f-motp-secret"},
	"code":            {"vpnd motp code --secret … --pin …", "Verify the token", "/users/NAME/token"},
	"resync":          {"vpnd user resync NAME", "Resynchronise", "/users/NAME/token#resync"},
	"password":        {"vpnd user set NAME --password-file FILE", "Password", "/users/NAME#f-password"},
	"expires":         {"vpnd user set NAME --expires DATE", "Account expires", "/users/NAME#f-expires"},
	"dial-in":         {"vpnd user set NAME --dial-in TYPES", "Allowed Dial-In Type", "/users/NAME#f-dial-in"},
	"ipsec":           {"vpnd user set NAME --ipsec none", "L2TP with IPsec Policy", "/users/NAME#f-ipsec"},
	"remote-node":     {"vpnd user set NAME --remote-node ADDRESS", "Specify Remote Node", "/users/NAME#f-remote-node"},
	"schedule":        {"vpnd user set NAME --schedule TIMES", "Schedule", "/users/NAME#f-schedule"},
	"quota":           {"vpnd user set NAME --quota BYTES", "Quota", "/users/NAME#f-quota"},
	"max-connections": {"vpnd user set NAME --max-connections NUMBER", "Connections at once", "/users/NAME#f-max-connections"},
	"further":         {"vpnd user set NAME --further replace", "One connection more", "/users/NAME#f-further"},
	"pool":            {"vpnd user set NAME --pool POOL", "Pool", "/users/NAME#f-pool"},
	"address":         {"vpnd user set NAME --address ADDRESS", "Assign Static IP Address", "/users/NAME#f-address"},
	"idle-timeout":    {"vpnd user set NAME --idle-timeout TIME", "Idle Timeout", "/users/NAME#f-idle-timeout"},
	"session-time":    {"vpnd user set NAME --session-time TIME", "Session time", "/users/NAME#f-session-time"},
	"capture":         {"vpnd capture NAME", "Capture", "/users/NAME#capture"},
	"drop":            {"vpnd drop NAME", "Drop", "/?q=QUERY"},

	"add-user":       {"vpnd user add", "Add a user", "/users/-new"},
	"administrators": {"vpnd admin add NAME", "Administrators", "/administrators"},
	"users":          {"vpnd user list", "Remote Dial-in Users", "/users"},
	"connections":    {"vpnd connections", "Connection Management", "/"},
	"time":           {"vpnd time", "Time and Date", "/time"},
	"check":          {"vpnd check", "Status", "/status"},

	"network.pool":       {"network.pool", "IP address assignment", "/ppp#pools"},
	"network.pools":      {"network.pools", "IP address assignment", "/ppp#pools"},
	"ppp.authentication": {"ppp.authentication", "Dial-In PPP Authentication", "/ppp#f-authentication"},
	"ppp.mppe":           {"ppp.mppe", "Dial-In PPP Encryption (MPPE)", "/ppp#f-mppe"},
	"ppp.echo_interval":  {"ppp.echo_interval", "Echo interval", "/ppp#f-echo_interval"},
	"ppp.chap_interval":  {"ppp.chap_interval", "CHAP asks again after", "/ppp#f-chap_interval"},
	"ppp.mutual_pap":     {"ppp.mutual_pap", "Mutual Authentication (PAP)", "/ppp#f-mutual_pap"},
	"services":           {"vpnd services", "Remote Access Control", "/services"},
}

var braces = regexp.MustCompile(`\{[a-z_.-]+\}`)

// said gives a text with its deeds, for a terminal and for the pages. An empty user is unknown.
func said(text, user string) (terminal string, page []Part) {
	var b strings.Builder
	words := func(text string) {
		if text != "" {
			b.WriteString(text)
			page = append(page, Part{Text: text})
		}
	}
	name := strings.NewReplacer("NAME", url.PathEscape(user), "QUERY", url.QueryEscape(user))
	last := 0
	for _, at := range braces.FindAllStringIndex(text, -1) {
		words(text[last:at[0]])
		d := deeds[text[at[0]+1:at[1]-1]]
		link := name.Replace(d.link)
		if user == "" && link != d.link {
			link = ""
		}
		b.WriteString(strings.Replace(d.command, "NAME", shell(cmp.Or(user, "NAME")), 1))
		page = append(page, Part{d.label, link})
		last = at[1]
	}
	words(text[last:])
	return b.String(), page
}

// commands finds the commands of deeds without a user in a text for a terminal.
var commands = func() *regexp.Regexp {
	var all []string
	for _, d := range deeds {
		if strings.HasPrefix(d.command, "vpnd ") && !strings.Contains(d.link, "NAME") && !strings.Contains(d.link, "QUERY") {
			all = append(all, regexp.QuoteMeta(d.command))
		}
	}
	slices.Sort(all)
	slices.Reverse(all) // so that the longer of two matches first
	return regexp.MustCompile("`?(" + strings.Join(all, "|") + ")`?")
}()

// Linked gives a text for a terminal as pages show it, with links for its commands.
func Linked(text string) []Part {
	var page []Part
	last := 0
	for _, at := range commands.FindAllStringSubmatchIndex(text, -1) {
		for _, d := range deeds {
			if d.command == text[at[2]:at[3]] {
				page = append(page, Part{Text: text[last:at[0]]}, Part{d.label, d.link})
			}
		}
		last = at[1]
	}
	return append(page, Part{Text: text[last:]})
}
