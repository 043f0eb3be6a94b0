package reason_test

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"vpnd/internal/reason"

	"github.com/google/go-cmp/cmp"
)

// codes are the values of the package's constants of type Code.
func codes(t *testing.T) map[reason.Code]bool {
	t.Helper()
	all := map[reason.Code]bool{}
	files, err := fs.Glob(os.DirFS("."), "*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			v, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			if kind, ok := v.Type.(*ast.Ident); ok && kind.Name == "Code" {
				code, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				all[reason.Code(code)] = true
			}
			return true
		})
	}
	return all
}

// Each code has one row, and each row has a code.
func TestEachCodeHasARow(t *testing.T) {
	declared := codes(t)
	if len(declared) < 100 {
		t.Errorf("only %d codes are found", len(declared))
	}
	seen := map[reason.Code]bool{}
	for _, row := range reason.Table() {
		if !declared[row.Code] {
			t.Errorf("the row %q has no constant", row.Code)
		}
		if seen[row.Code] {
			t.Errorf("%s has two rows", row.Code)
		}
		seen[row.Code] = true
	}
	for code := range maps.Keys(declared) {
		if !seen[code] {
			t.Errorf("%s has no row", code)
		}
	}
}

var name = regexp.MustCompile(`\{([a-z]+)\}`)

// A row is complete: it has a text and advice, whose placeholders are arguments of the text.
func TestRowsAreComplete(t *testing.T) {
	for _, row := range reason.Table() {
		if row.Text == "" || row.Means == "" || !regexp.MustCompile(`^[a-z_]+$`).MatchString(string(row.Code)) {
			t.Errorf("%s: text %q, meaning %q", row.Code, row.Text, row.Means)
		}
		if !regexp.MustCompile(`^[^\[\]]*(\[[^\[\]]*\{[a-z]+\}[^\[\]]*\][^\[\]]*)*$`).MatchString(row.Text) {
			t.Errorf("%s: brackets of %q", row.Code, row.Text)
		}
		for _, found := range name.FindAllStringSubmatch(row.Means, -1) {
			if !strings.Contains(row.Text, found[0]) {
				t.Errorf("%s: the text has no argument %s", row.Code, found[1])
			}
		}
		args := make([]any, len(name.FindAllString(row.Text, -1)))
		for i := range args {
			args[i] = "x"
		}
		for _, r := range []reason.Reason{reason.New(row.Code), reason.New(row.Code, args...)} {
			for _, kind := range []string{"PPTP", "L2TP"} {
				advice, ok := r.Advice(kind)
				if all := r.String() + advice.Means; !ok || strings.ContainsAny(all, "{}[]") {
					t.Errorf("%s, %s: %q, %+v", row.Code, kind, r, advice)
				}
			}
		}
	}
}

// A peer that guesses gets the same answer, whatever was wrong.
func TestPeerLearnsNothing(t *testing.T) {
	guesses := []reason.Code{
		reason.WrongPassword, reason.WrongCode, reason.TokenClockOff, reason.UnknownUser, reason.UserLocked, reason.SourceLimited, reason.UsedCode,
		reason.OldCode, reason.CodeNotStored, reason.UserTable, reason.PasswordChanged, reason.TokenChanged, reason.UserRemoved,
	}
	for _, code := range guesses {
		r := reason.New(code, "secret of the server")
		if r.Row().MSCHAP != 691 || r.Peer() != "Access denied" {
			t.Errorf("%s: E=%d, %q", code, r.Row().MSCHAP, r.Peer())
		}
	}
	for _, row := range reason.Table() {
		if row.Label != "" && row.MSCHAP == reason.MSCHAPDenied && !slices.Contains(guesses, row.Code) {
			t.Errorf("%s refuses a guess, and this test does not have it", row.Code)
		}
		if row.Label != "" && row.MSCHAP != 0 && row.Code != reason.NobodyWithout && row.Code != reason.ShuttingDown && row.Code != reason.ServiceOff {
			if peer := reason.New(row.Code, "secret", "secret", "secret").Peer(); peer == "" || strings.Contains(peer, "secret") {
				t.Errorf("%s: %q", row.Code, peer)
			}
		}
	}
}

func TestText(t *testing.T) {
	noon := time.Date(2026, 5, 6, 12, 0, 0, 0, time.FixedZone("", 7200))
	for want, r := range map[string]reason.Reason{
		"":                                     {},
		"wrong password":                       reason.New(reason.WrongPassword),
		"wrong password, user locked for 1m0s": reason.New(reason.WrongPassword, time.Minute, time.Time{}),
		"wrong password, user locked until 2026-05-06T10:00:00Z": reason.New(reason.WrongPassword, time.Duration(0), noon),
		`peer hung up: it says "{lock} [x]"`:                     reason.New(reason.PeerHungUp, `"{lock} [x]"`),
		"{user}; no PPP frame had come from the peer":            reason.New(reason.NothingCame, "{user}"),
		"client insists on a; bob's address is c":                reason.New(reason.ClientInsists, "a", "bob", "c"),
		`client insists on a; bob's address is c: it says "no"`:  reason.New(reason.ClientInsists, "a", "bob", "c", `"no"`),

		"client closed the control connection; no PPP frame had come from the peer": reason.New(reason.NothingCame, reason.New(reason.ControlClosed)),
		"of_a_later_version": {Code: "of_a_later_version", Args: [4]string{"x"}},
	} {
		if r.String() != want || r.Error() != want {
			t.Errorf("%q, want %q", r, want)
		}
	}
}

func TestAdvice(t *testing.T) {
	got, ok := reason.New(reason.AddressInUse, "10.99.0.7", "bob").Advice("PPTP")
	if want := "The user's fixed address 10.99.0.7 is in use by bob."; !ok || got.Means != want {
		t.Errorf("%v %q, want %q", ok, got.Means, want)
	}
	nothing := reason.New(reason.NothingCame, "x")
	pptp, _ := nothing.Advice("PPTP")
	l2tp, _ := nothing.Advice("L2TP/IPsec")
	if !strings.Contains(pptp.Fix, "GRE") || !strings.Contains(l2tp.Fix, "UDP 1701") {
		t.Errorf("PPTP %q, L2TP %q", pptp.Fix, l2tp.Fix)
	}
	if got, ok := (reason.Reason{Code: "of_a_later_version"}).Advice("PPTP"); ok {
		t.Errorf("an unknown code has advice: %+v", got)
	}
}

// A reason is an error that errors.Is and errors.As find, with its cause.
func TestIsAnError(t *testing.T) {
	r := reason.New(reason.UserTable, fs.ErrPermission)
	wrapped := errors.Join(errors.New("other"), r)
	if !errors.Is(wrapped, fs.ErrPermission) || !errors.Is(wrapped, reason.New(reason.UserTable)) || errors.Is(wrapped, reason.New(reason.WrongCode)) {
		t.Errorf("%v", wrapped)
	}
	if got := reason.Of(wrapped); got.Code != reason.UserTable {
		t.Errorf("%v", got)
	}
	if got := reason.Of(fs.ErrClosed); got.Code != reason.Internal || !errors.Is(got, fs.ErrClosed) {
		t.Errorf("%v", got)
	}
	if got := reason.Of(nil); !got.IsZero() {
		t.Errorf("%v", got)
	}
}

func TestArguments(t *testing.T) {
	for _, r := range []reason.Reason{
		reason.New(reason.UnknownUser),
		reason.New(reason.ClientInsists, "10.0.0.1", `k"the`, "10.99.0.10", "\x1b"),
		{Code: "of_a_later_version", Args: [4]string{"", "x"}},
	} {
		got, err := reason.Parse(string(r.Code), r.Stored())
		if diff := cmp.Diff(r, got); err != nil || diff != "" {
			t.Errorf("%v %s", err, diff)
		}
	}
	if got, err := reason.Parse("unknown_user", "{"); err == nil {
		t.Errorf("damaged arguments are taken: %v", got)
	}
}

func TestSearch(t *testing.T) {
	if got := reason.Search("FIXED address"); !slices.Equal(got, []reason.Code{reason.AddressOutside, reason.AddressInUse, reason.AddressIsOuter}) {
		t.Errorf("%q", got)
	}
	if got := reason.Search("no such words"); got != nil {
		t.Errorf("%q", got)
	}
}
