package guide_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"vpnd/mgmt/guide"
)

// sinks are where the packages give reasons: functions with the place of the argument, and variables, fields
// and functions whose values are reasons.
var sinks = map[string]struct {
	calls  map[string]int
	values []string
}{
	"auth":             {map[string]int{"denied": 1}, []string{"reason", "Reason", "UntilReason", "alreadyUsed", "lockedUntil", "explain", "Refusal"}},
	"internal/session": {map[string]int{"close": 0, "cut": 0, "end": 0, "Close": 1}, []string{"errPending", "errFull", "errStopped", "errPlain", "errOtherUser", "errQuota", "reason", "grant", "keeps", "claim", "tooManyFor", "poolFor", "Reason"}},
	"internal/hook":    {nil, []string{"errBehind", "errLate", "errOften"}},
	"internal/ippool":  {nil, []string{"ErrEmpty", "Take"}},
	"internal/daemon":  {map[string]int{"DropIf": 1, "Shutdown": 1}, []string{"watchUsers", "noSets", "exhausted"}},
	"ppp":              {map[string]int{"hangUp": 1, "finish": 0, "giveUp": 0, "ended": 0}, []string{"reason", "notUp", "hungUp", "wished", "disagreement"}},
	"pptp":             {map[string]int{"close": 0, "clear": 1, "Stop": 1}, nil},
	"pptp/gre":         {nil, []string{"ErrBusy"}},
	"pptp/server":      {map[string]int{"Down": 0, "Stop": 1}, []string{"lost"}},
	"l2tp":             {map[string]int{"close": 0, "stop": 2, "hangUp": 3, "Stop": 1}, []string{"reason"}},
	"l2tp/wire":        {nil, []string{"ErrHidden"}},
	"l2tp/server":      {map[string]int{"Forget": 0, "down": 0}, []string{"errBusy"}},
}

// others are texts that the walk finds and that no client of the server causes: those of the client's role,
// parts of reasons, and what stands for a whole reason.
var others = regexp.MustCompile(`^(?:(?:the )?server.*|authentication refused: .*|peer does not speak|: it .*|1|)$`)

// fill stands in for the parts of a reason that only a running server knows, but for those of fills.
const fill = "1"

// fills are variables and methods by their package and name.
var fills = map[string]string{
	"auth.reason": "wrong password", "auth.lockedUntil": "user locked until 1 after too many failures",
	"ppp.within": " within 1m0s", "ppp.wished": ": it asks for PAP", "ppp.silence": "the client did not answer to the server's name and password",
	"ppp.reason": "peer hung up", "ppp.whose": "; alice's address is 10.99.0.10", "ppp.protocol": "CHAP", "l2tp.peer": "client",
}

type pkg struct {
	files []*ast.File
	at    string
}

// texts gives what an expression may be, with fill for what is not in the source.
func (p pkg) texts(e ast.Expr) []string {
	switch v := e.(type) {
	case *ast.BasicLit:
		if v.Kind == token.STRING {
			text, _ := strconv.Unquote(v.Value)
			return []string{text}
		}
	case *ast.Ident:
		if value := p.constant(v.Name); value != nil {
			return p.texts(value)
		}
	case *ast.ParenExpr:
		return p.texts(v.X)
	case *ast.BinaryExpr:
		if v.Op != token.ADD {
			break
		}
		var all []string
		for _, left := range p.texts(v.X) {
			for _, right := range p.texts(v.Y) {
				all = append(all, left+right)
			}
		}
		return all
	case *ast.CallExpr:
		name := nameOf(v)
		if name == "Sprintf" || name == "Errorf" || name == "New" && len(v.Args) == 1 {
			var all []string
			for _, format := range p.texts(v.Args[0]) {
				all = append(all, p.formatted(format, v.Args[1:]))
			}
			return all
		}
	}
	if text, ok := fills[p.at+"."+nameOf(e)]; ok {
		return []string{text}
	}
	return []string{fill}
}

// constant is the value of a constant of the package; nil: there is none of the name.
func (p pkg) constant(name string) ast.Expr {
	for _, file := range p.files {
		for _, decl := range file.Decls {
			d, ok := decl.(*ast.GenDecl)
			if !ok || d.Tok != token.CONST {
				continue
			}
			for _, spec := range d.Specs {
				v := spec.(*ast.ValueSpec)
				if i := slices.IndexFunc(v.Names, func(n *ast.Ident) bool { return n.Name == name }); i >= 0 && i < len(v.Values) {
					return v.Values[i]
				}
			}
		}
	}
	return nil
}

// nameOf is the last name of a variable or a call; of a value's String, the value's.
func nameOf(e ast.Expr) string {
	switch v := e.(type) {
	case *ast.Ident:
		return v.Name
	case *ast.SelectorExpr:
		if v.Sel.Name == "String" {
			return nameOf(v.X)
		}
		return v.Sel.Name
	case *ast.CallExpr:
		return nameOf(v.Fun)
	}
	return ""
}

var verb = regexp.MustCompile(`%[-+#]?[0-9.]*[a-z]`)

func (p pkg) formatted(format string, args []ast.Expr) string {
	n := -1
	return verb.ReplaceAllStringFunc(format, func(v string) string {
		n++
		if id, ok := args[n].(*ast.Ident); ok && v == "%w" {
			if is := p.values(id.Name); len(is) == 1 {
				return is[0]
			}
		}
		return fill
	})
}

// values gives what is assigned to a name, or returned by a function of the name.
func (p pkg) values(name string) []string {
	var all []string
	for _, file := range p.files {
		ast.Inspect(file, func(n ast.Node) bool {
			switch v := n.(type) {
			case *ast.AssignStmt:
				for i, l := range v.Lhs {
					if len(v.Rhs) == len(v.Lhs) && v.Tok != token.ADD_ASSIGN && nameOf(l) == name {
						all = append(all, p.texts(v.Rhs[i])...)
					}
				}
			case *ast.ValueSpec:
				for i, l := range v.Names {
					if l.Name == name && i < len(v.Values) {
						all = append(all, p.texts(v.Values[i])...)
					}
				}
			case *ast.KeyValueExpr:
				if nameOf(v.Key) == name {
					all = append(all, p.texts(v.Value)...)
				}
			case *ast.CompositeLit:
				if n := len(v.Elts); nameOf(v.Type) == name && n > 1 {
					all = append(all, p.texts(v.Elts[n-1])...)
				}
			case *ast.FuncDecl:
				if v.Name.Name == name && v.Body != nil {
					all = append(all, p.returned(v.Body)...)
				}
			}
			return true
		})
	}
	return all
}

func (p pkg) returned(body *ast.BlockStmt) []string {
	var all []string
	ast.Inspect(body, func(n ast.Node) bool {
		if r, ok := n.(*ast.ReturnStmt); ok && len(r.Results) > 0 {
			all = append(all, p.texts(r.Results[len(r.Results)-1])...)
		}
		return true
	})
	return all
}

// reasons walks the source of the packages that give reasons.
func reasons(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for at, sink := range sinks {
		paths, err := filepath.Glob(filepath.Join("..", "..", at, "*.go"))
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s: %v", at, err)
		}
		p := pkg{at: at}
		for _, path := range paths {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			p.files = append(p.files, file)
		}
		var all []string
		for _, name := range sink.values {
			values := p.values(name)
			if len(values) == 0 {
				t.Errorf("%s has no %s any more", at, name)
			}
			all = append(all, values...)
		}
		for _, file := range p.files {
			ast.Inspect(file, func(n ast.Node) bool {
				if c, ok := n.(*ast.CallExpr); ok {
					if arg, ok := sink.calls[nameOf(c)]; ok && arg < len(c.Args) {
						all = append(all, p.texts(c.Args[arg])...)
					}
				}
				return true
			})
		}
		for _, text := range all {
			found[text] = at
		}
	}
	return found
}

// Every reason that the code can give has advice, for either type of dial-in.
func TestEveryReasonHasAdvice(t *testing.T) {
	advised := 0
	for reason, at := range reasons(t) {
		if others.MatchString(reason) {
			continue
		}
		advised++
		for _, kind := range []string{"PPTP", "L2TP"} {
			advice, ok := guide.For(guide.Attempt{Type: kind, Reason: reason})
			if !ok || advice.Cause == "" || strings.Contains(advice.Cause+advice.Cure, "$") || strings.Contains(advice.Cure, "{") {
				t.Errorf("%s: %q has no advice: %+v", at, reason, advice)
			}
		}
	}
	if advised < 75 {
		t.Errorf("only %d reasons are found: the walk misses some", advised)
	}
}

func TestAdviceIsPrecise(t *testing.T) {
	for _, c := range []struct {
		kind, reason, cause, cure string
	}{
		{"PPTP", "wrong one-time password: the token's clock is 7 minutes ahead", "the token's clock is 7 minutes ahead.", "vpnd user resync"},
		{"PPTP", "wrong one-time password, user locked for 1m0s: the token's clock is 10 minutes behind, or the code is that old, counted from its resync", "10 minutes behind, or the code is that old, counted from its resync.", "clock"},
		{"PPTP", "peer accepts none of the allowed authentications: it asks for PAP", "offers only PAP, which is off", "ppp.authentication"},
		{"L2TP", "peer accepts none of the allowed authentications: it asks for PAP, EAP", "not allowed: PAP, EAP", "MS-CHAPv2"},
		{"L2TP", "L2TP without IPsec: the user's IPsec policy is must", "wants IPsec (policy Must), but the client came by L2TP without it", "vpnd user set 'o'\\''neil' --ipsec none"},
		{"PPTP", "no answer to LCP: nothing has come from the peer", "GRE", "protocol 47"},
		{"PPTP", "client closed the control connection; no PPP frame had come from the peer", "GRE", "protocol 47"},
		{"L2TP", "no answer to LCP: nothing has come from the peer", "nothing came through", "UDP 1701"},
		{"L2TP", "MPPE is required, but the peer does not agree to it", "over L2TP", "PPTP"},
		{"PPTP", "MPPE is required, but the peer does not agree to it", "did not agree", "require-mppe-128"},
		{"PPTP", `peer hung up: it says "User request"`, `The client hung up. "User request"`, ""},
		{"PPTP", "10.99.0.7: fixed address is in use by bob", "10.99.0.7 is in use by bob", "another address"},
		{"PPTP", "before hook: exit status 1", "does not let the user in (exit status 1)", "output"},
		{"PPTP", "dropped by the administrator", "An administrator", ""},
		{"L2TP", "client disconnected the call (result 3)", "The client ended the call", ""},
	} {
		advice, ok := guide.For(guide.Attempt{User: "o'neil", Type: c.kind, Reason: c.reason})
		if !ok || !strings.Contains(advice.Cause, c.cause) || !strings.Contains(advice.Cure, c.cure) {
			t.Errorf("%s: %+v", c.reason, advice)
		}
	}
	for _, reason := range []string{"", "dropped for the fun of it", "wrong password or not"} {
		if advice, ok := guide.For(guide.Attempt{Type: "PPTP", Reason: reason}); ok {
			t.Errorf("%q: %+v", reason, advice)
		}
	}
}

// The walk itself finds reasons of each kind.
func TestWalkFindsReasons(t *testing.T) {
	found := reasons(t)
	for _, want := range []string{
		"unknown user", "dial-in type 1 not allowed", "monthly quota used up", "address pool is empty: 1 connections hold an address",
		"MPPE is required, but the peer does not agree to it", "client hung up at once", "wrong tunnel secret", "user was removed",
		"the user's schedule ends", "idle time-out", "control connection lost",
	} {
		if _, ok := found[want]; !ok {
			t.Errorf("%q is not found", want)
		}
	}
	if t.Failed() {
		var all []string
		for reason := range found {
			all = append(all, reason)
		}
		slices.Sort(all)
		t.Logf("%q", all)
	}
}
