package exchange

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"vpnd/auth"
)

// A command of RouterOS is a path of menus, a verb and arguments, as "export" of MikroTik's
// routers writes it:
//
//	/ppp secret
//	add comment="Anna's \"laptop\"" name=anna password=Winter26 \
//	    remote-address=10.99.0.20 service=pptp
type command struct {
	line     int
	words    []string // before the arguments
	keys     []string // in their order
	args     map[string]string
	computed []string // the keys whose values are variables or expressions
	scripts  []string // commands in brackets, which run on conditions
}

// secretMenu is the menu of the users.
var secretMenu = []string{"ppp", "secret"}

var (
	verbs     = []string{"add", "set", "remove", "enable", "disable", "comment", "unset", "edit", "find", "print", "export", "reset", "get"}
	harmless  = []string{"find", "print", "export", "get"}
	bodies    = []string{"do", "else", "on-error"}                 // arguments whose values are commands
	unmatched = []string{"pppoe", "ovpn", "sstp", "async", "isdn"} // services that vpnd does not have
)

func menuSign(r rune) bool { return r == '/' || strings.ContainsRune(spaces, r) }

// readRouterOS reads the commands "/ppp secret add" of an export, and ignores others. Lines without
// a menu before them count as lines of /ppp secret.
func (r *reader) readRouterOS(data []byte) {
	s := scanner{data: string(data), line: 1}
	menu := secretMenu
	for {
		c, ok := s.command()
		if !ok {
			r.fault(c.line, "a quote or a bracket is not closed; the rest was not read")
			return
		}
		if len(c.words) == 0 && len(c.keys) == 0 {
			break
		}
		menu = r.routerCommand(c, menu)
	}
	if r.Records == 0 {
		r.fault(0, `this export has no "/ppp secret add"`)
	}
}

// routerCommand processes a command that was given in menu, and gives the menu of the next command.
func (r *reader) routerCommand(c command, menu []string) []string {
	path, verb, behind := c.resolve(menu)
	switch {
	case c.changesInScript(path):
		r.Records++
		r.fault(c.line, "a script adds or changes users here, but vpnd runs no scripts: write a line with add, name and password for each user")
	case verb == "" && len(path) > len(secretMenu) && isSecretMenu(path[:len(secretMenu)]):
		r.Records++
		r.fault(c.line, "%.32q is not a known command of this menu", path[len(secretMenu)])
	case verb == "":
		return path
	case !isSecretMenu(path) || slices.Contains(harmless, verb):
	case verb == "add" && len(behind) > 0:
		r.Records++
		r.fault(c.line, "a word after add has no name and =: quote values with spaces")
	case verb == "add":
		r.Records++
		r.routerSecret(c)
	default:
		r.Records++
		r.fault(c.line, "%s changes an existing user: write the final values into the user's line with add", verb)
	}
	return menu
}

// isSecretMenu reports whether a path leads to the users. A terminal accepts shortened names.
func isSecretMenu(path []string) bool {
	return slices.EqualFunc(path, secretMenu, func(part, whole string) bool {
		return part != "" && strings.HasPrefix(whole, part)
	})
}

// Commands of a script that add or change users, by their path and inside the users' menu.
var (
	absolute = regexp.MustCompile(`\bppp[\s/]+s\w*[\s/]+(add|set|unset|remove|enable|disable|comment|edit)\b`)
	relative = regexp.MustCompile(`(^|[\[{;\s])(add|set|unset|remove|enable|disable|comment|edit)\s`)
)

// changesInScript reports whether the command contains commands that add or change users. The
// command leads to menu.
func (c *command) changesInScript(menu []string) bool {
	return slices.ContainsFunc(c.scripts, func(text string) bool {
		return absolute.MatchString(text) || isSecretMenu(menu) && relative.MatchString(text)
	})
}

// resolve gives the menu of a command that was given in menu, its verb, and the words after the
// verb. A command with the verb "" only goes to that menu.
func (c *command) resolve(menu []string) (path []string, verb string, behind []string) {
	prompt, words := cutPrompt(c.words)
	if len(prompt) > 0 {
		menu = prompt
	}
	if len(words) == 0 || !strings.HasPrefix(words[0], "/") {
		path = slices.Clone(menu)
	}
	if len(words) > 0 && strings.HasPrefix(words[0], ":") {
		return path, "", nil // of a script
	}
	for i, word := range words {
		if strings.HasPrefix(word, "{") {
			break // a script
		}
		for _, part := range strings.FieldsFunc(word, menuSign) {
			if slices.Contains(verbs, part) {
				return path, part, words[i+1:]
			}
			if path = append(path, part); part == ".." {
				path = path[:max(len(path)-2, 0)]
			}
		}
	}
	return path, "", nil
}

// cutPrompt cuts off the prompt of a terminal, such as [admin@MikroTik] /ppp/secret>, and gives its
// menu.
func cutPrompt(words []string) (menu, rest []string) {
	end := slices.IndexFunc(words, func(word string) bool { return strings.HasSuffix(word, ">") })
	if end < 0 || !strings.HasPrefix(words[0], "[") {
		return nil, words
	}
	path := strings.TrimSuffix(strings.Join(words[1:end+1], " "), ">")
	return strings.FieldsFunc(path, menuSign), words[end+1:]
}

// routerSecret adds one user.
func (r *reader) routerSecret(c command) {
	a := account{line: c.line, name: c.args["name"], fields: map[string]string{}}
	if !r.routerService(c, &a) {
		return
	}
	if from := c.args["caller-id"]; from != "" && oneAddress(from) == "" {
		r.fault(c.line, "%.64q: caller-id is not an address: remove it", a.name)
		return
	}
	var left []string
	for _, key := range c.keys {
		if !a.routerField(key, c.args[key]) {
			left = append(left, key)
		}
	}
	if len(left) > 0 {
		r.note(c.line, "%.64q: ignored: %.200s", a.name, strings.Join(left, ", "))
	}
	r.account(a)
}

// routerService reads the user's service; false: vpnd cannot have this user.
func (r *reader) routerService(c command, a *account) bool {
	name, service := a.name, c.args["service"]
	_, shown := c.args["password"]
	switch {
	case slices.Contains(unmatched, service):
		r.skip(c.line, "%.64q is for the service %s, which vpnd does not have", name, service)
		return false
	case !shown && name != "":
		r.fault(c.line, "%.64q has no password here: export with show-sensitive (RouterOS 7), or without hide-sensitive (RouterOS 6)", name)
		return false
	case len(c.computed) > 0:
		r.fault(c.line, "%.64q: the value of %.200s is a variable or an expression: write the value itself ($ as \\$ in quotes)",
			name, strings.Join(c.computed, ", "))
		return false
	case service == "pptp" || service == "l2tp":
		a.services = []auth.Service{auth.Service(service)}
	case service != "" && service != "any":
		r.fault(c.line, "%.64q: the service %.32q is unknown", name, service)
		return false
	}
	return true
}

// routerField reads an argument of the user; false: vpnd has nothing like it.
func (a *account) routerField(key, text string) bool {
	switch {
	case key == "name" || key == "service" || text == "":
	case key == "password" || key == "comment":
		a.fields[key] = text
	case key == "disabled":
		a.fields["enabled"] = map[bool]string{true: "no", false: "yes"}[text == "yes" || text == "true"]
	case key == "remote-address" && oneAddress(text) != "":
		a.fields["address"] = oneAddress(text)
	case key == "caller-id":
		a.fields["remote-node"] = oneAddress(text)
	case key == "local-address" || key == "profile" && strings.HasPrefix(text, "default"):
		// These are the server's own address, and a profile without settings of a user.
	default:
		return false
	}
	return true
}

// command reads the next command. A command without words and keys is the end of the file; not ok:
// a quote or a bracket is not closed.
func (s *scanner) command() (c command, ok bool) {
	c.args = map[string]string{}
	for s.more() {
		b := s.data[s.at]
		switch {
		case b == '\n' || b == ';':
			s.at++
			if b == '\n' {
				s.line++
			}
			if len(c.words) > 0 || len(c.keys) > 0 {
				return c, true
			}
		case b == '#' && len(c.words) == 0 && len(c.keys) == 0:
			if end := strings.IndexByte(s.data[s.at:], '\n'); end >= 0 {
				s.at += end
			} else {
				s.at = len(s.data)
			}
		case s.continued(), strings.IndexByte(spaces, b) >= 0:
			s.at++
		default:
			if len(c.words) == 0 && len(c.keys) == 0 {
				c.line = s.line
			}
			if !s.argument(&c) {
				return c, false
			}
		}
	}
	return c, true
}

// continued skips a backslash at the end of a line, and the white space at the beginning of the
// next line up to its last character.
func (s *scanner) continued() bool {
	rest, ok := strings.CutPrefix(s.data[s.at:], `\`)
	if !ok {
		return false
	}
	line, after, ok := strings.Cut(rest, "\n")
	if !ok || strings.Trim(line, "\r") != "" {
		return false
	}
	s.line++
	s.at = len(s.data) - len(strings.TrimLeft(after, " \t")) - 1
	return true
}

// argument reads a word, or a key with its value.
func (s *scanner) argument(c *command) bool {
	a := argument{}
	for s.more() {
		b := s.data[s.at]
		if !a.quoted && a.depth <= 0 && (b == ';' || strings.IndexByte(spaces, b) >= 0) {
			break
		}
		if s.continued() {
			s.at++
			continue
		}
		s.at++
		if b == '\\' && s.more() {
			b, s.at = routerEscape(s.data, s.at)
			a.text = append(a.text, b)
			continue
		}
		if b == '\n' {
			s.line++
		}
		a.take(b)
	}
	if a.quoted || a.depth > 0 {
		return false
	}
	a.end(c)
	return true
}

// argument is an argument while it is read.
type argument struct {
	key      string
	text     []byte
	valued   bool // the key is complete
	quoted   bool // within quotes
	depth    int  // of brackets
	computed bool // the value has a variable or an expression
	script   bool // the text has brackets
}

// take adds a character without a backslash before it.
func (a *argument) take(b byte) {
	switch {
	case b == '"':
		a.quoted = !a.quoted
		if a.depth <= 0 {
			return
		}
	case b == '$':
		a.computed = true
	case a.quoted:
	case b == '[' || b == '{':
		a.depth++
		a.computed, a.script = true, true
	case b == '(':
		a.computed = true
	case b == ']' || b == '}':
		a.depth--
	case a.depth <= 0 && b == '=' && !a.valued:
		a.key, a.text, a.valued = string(a.text), nil, true
		return
	}
	a.text = append(a.text, b)
}

// end adds the argument to the command.
func (a *argument) end(c *command) {
	text := string(a.text)
	if a.script && (!a.valued || slices.Contains(bodies, a.key)) {
		c.scripts = append(c.scripts, text)
	}
	if !a.valued {
		c.words = append(c.words, text)
		return
	}
	if a.computed {
		c.computed = append(c.computed, a.key)
	}
	if _, twice := c.args[a.key]; !twice {
		c.keys = append(c.keys, a.key)
	}
	c.args[a.key] = text
}

// routerEscape is the byte for the text after a backslash, and the place after that text. The text
// is a letter, two hexadecimal digits in upper case, _ for a space, or else the byte itself.
func routerEscape(data string, at int) (byte, int) {
	const letters, meant = "abfnrtv_", "\a\b\f\n\r\t\v "
	if n := strings.IndexByte(letters, data[at]); n >= 0 {
		return meant[n], at + 1
	}
	if at+2 <= len(data) && strings.Trim(data[at:at+2], "0123456789ABCDEF") == "" {
		if n, err := strconv.ParseUint(data[at:at+2], 16, 8); err == nil {
			return byte(n), at + 2
		}
	}
	return data[at], at + 1
}
