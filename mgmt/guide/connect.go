package guide

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"unicode"
)

// placeholder replaces the server's address if that is unknown.
const placeholder = "SERVER"

// Server is the server's data for the set-up of clients.
type Server struct {
	Address        string   // name or address; "": not known
	PPTP, L2TP     bool     // the services that are on
	Authentication []string // allowed methods: mschapv2, mschap, chap, pap
	MPPE           string   // off, optional, required or maximum
	TunnelSecret   bool     // L2TP tunnels need one
}

// Person is the part of a user's profile that the set-up of a client depends on.
type Person struct {
	Name                 string
	Password, MOTP, TOTP bool // the user's means to log in
	PPTP, L2TP           bool // the allowed dial-in types
	IPsecMust            bool // L2TP without IPsec is refused
}

// Kind is a kind of client.
type Kind struct{ Name, Title string }

// Kinds are the clients that have a page.
var Kinds = []Kind{
	{"windows", "Windows 10 and 11"},
	{"smart-vpn", "DrayTek Smart VPN Client"},
	{"macos", "macOS"},
	{"ios", "iPhone and iPad"},
	{"android", "Android"},
	{"linux", "Linux"},
}

// Page describes the set-up of a client for a user.
type Page struct {
	Client   string    `json:"client"`
	Title    string    `json:"title"`
	Settings []Setting `json:"settings"`
	Ways     []Way     `json:"ways" doc:"Ways to connect, the best first; empty: this client cannot"`
	Notes    []string  `json:"notes"`
	OnPage   [][]Part  `json:"-"` // Notes, with links for commands
}

// Setting is a field of the client's form.
type Setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Way is one way to connect.
type Way struct {
	Title string `json:"title"`
	Steps []Step `json:"steps"`

	OnPage [][]Part `json:"-"` // the texts of Steps, with links for commands
}

// Step is a step of a way, with a command to type.
type Step struct {
	Text string `json:"text"`
	Code string `json:"code,omitempty"`
}

// Connect makes the page of a client. The error names the known clients, or is ErrServer.
func Connect(client string, s Server, p Person) (Page, error) {
	at := slices.IndexFunc(Kinds, func(k Kind) bool { return k.Name == client })
	if at < 0 {
		var names []string
		for _, k := range Kinds {
			names = append(names, k.Name)
		}
		return Page{}, fmt.Errorf("client %q is unknown: use one of %s", client, strings.Join(names, ", "))
	}
	if err := checkServer(s.Address); err != nil {
		return Page{}, err
	}
	b := &builder{Server: s, Person: p}
	if b.Address == "" {
		b.Address = placeholder
	}
	b.page = Page{Client: client, Title: Kinds[at].Title, Ways: []Way{}}
	b.pptp, b.l2tp = s.PPTP && p.PPTP, s.L2TP && p.L2TP && !p.IPsecMust
	b.settings()
	b.closed()
	switch client {
	case "windows":
		b.windows()
	case "smart-vpn":
		b.smartVPN()
	case "macos":
		b.macOS()
	case "ios":
		b.iOS()
	case "android":
		b.android()
	case "linux":
		b.linux()
	}
	return b.page, nil
}

// builder makes a page.
type builder struct {
	Server
	Person
	pptp, l2tp bool // this user may dial in that way on this server
	page       Page
}

func (b *builder) note(format string, args ...any) {
	text, page := said(fmt.Sprintf(format, args...), b.Name)
	b.page.Notes, b.page.OnPage = append(b.page.Notes, text), append(b.page.OnPage, page)
}

func (b *builder) way(title string, steps ...Step) {
	onPage := make([][]Part, len(steps))
	for i := range steps {
		steps[i].Text, onPage[i] = said(steps[i].Text, b.Name)
	}
	b.page.Ways = append(b.page.Ways, Way{title, steps, onPage})
}

// settings adds the settings that all clients ask for.
func (b *builder) settings() {
	set := func(name, value string) { b.page.Settings = append(b.page.Settings, Setting{name, value}) }
	set("Server", b.Address)
	var types []string
	if b.pptp {
		types = append(types, "PPTP")
	}
	if b.l2tp {
		types = append(types, "L2TP without IPsec")
	}
	set("Dial-in type", orNone(types))
	set("User name", b.Name)
	set("Password", b.secret())
	var methods []string
	for _, m := range b.Authentication {
		methods = append(methods, methodTitles[m])
	}
	set("Authentication", orNone(methods))
	set("Encryption (MPPE)", mppeTitles[b.MPPE])
	if b.l2tp {
		field := "none: leave the field empty"
		if b.TunnelSecret {
			field = "the value of l2tp.secret; ask the administrator"
		}
		set("L2TP tunnel secret", field)
	}
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}

var methodTitles = map[string]string{"mschapv2": "MS-CHAPv2", "mschap": "MS-CHAP", "chap": "CHAP", "pap": "PAP"}

var mppeTitles = map[string]string{
	"off": "off", "optional": "optional", "required": "required, 40 to 128 bits", "maximum": "required, 128 bits",
}

// secret is the text for the password field.
func (b *builder) secret() string {
	var ways []string
	if b.MOTP {
		ways = append(ways, "the code that the mOTP token shows (enter the PIN in the token, not here)")
	}
	if b.TOTP {
		ways = append(ways, "the six digits that the authenticator app shows")
	}
	if b.Password {
		ways = append(ways, "the password")
	}
	return orNone(ways)
}

// oneTime reports whether the user has a token.
func (b *builder) oneTime() bool { return b.MOTP || b.TOTP }

// closed adds notes about the types of dial-in that are not among the ways, and about other limits.
func (b *builder) closed() {
	for _, t := range []struct {
		title, option string
		on, allowed   bool
	}{{"PPTP", "pptp", b.Server.PPTP, b.Person.PPTP}, {"L2TP", "l2tp", b.Server.L2TP, b.Person.L2TP}} {
		switch {
		case !t.on:
			b.note("The server has %s turned off. {services} turns it on.", t.title)
		case !t.allowed:
			b.note("%s is not among the user's allowed dial-in types ({dial-in}).", t.title)
		case t.option == "l2tp" && b.IPsecMust:
			b.note("The user's IPsec policy is Must, but the server does not offer IPsec yet. It refuses L2TP without IPsec ({ipsec}).")
		}
	}
	if b.oneTime() {
		b.note("Each one-time password works for one log-in. Do not let the client save it, and turn off automatic redialling: the server refuses a code that it has seen before.")
	}
	if b.l2tp {
		b.note("The server does not offer IPsec yet. Plain L2TP encrypts nothing by itself.")
	}
	if b.l2tp && (b.MPPE == "required" || b.MPPE == "maximum") {
		b.note("Encryption (MPPE) is required. Windows, phones and Macs do not use MPPE over L2TP, so the server refuses them there. Use PPTP for them.")
	}
}

// allows reports whether the server allows an authentication method.
func (b *builder) allows(method string) bool { return slices.Contains(b.Authentication, method) }

// encrypted reports whether PPTP with MS-CHAPv2 is encrypted.
func (b *builder) encrypted() bool { return b.MPPE != "off" && b.allows("mschapv2") }

// powerShell quotes a text for PowerShell.
func powerShell(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// shell quotes a text for a POSIX shell, if it needs that.
func shell(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-:@", r)
	}
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !plain(r) }) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// ErrServer means that the server's name or address is invalid, and would be unsafe in a line that
// people copy.
var ErrServer = errors.New("is neither a host name nor an address: write it as vpn.example.org or 203.0.113.7")

// checkServer checks that an address is a host name or an IP address.
func checkServer(address string) error {
	if _, err := netip.ParseAddr(address); err == nil || address == "" {
		return nil
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(address, "."), ".") {
		strange := func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '-' && r != '_' }
		if label == "" || len(label) > 63 || label[0] == '-' || strings.ContainsFunc(label, strange) {
			return fmt.Errorf("server %q %w", address, ErrServer)
		}
	}
	return nil
}
