// Package vpnd_test checks the rules of the repository: which imports are allowed, and why.
package vpnd_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// A wall is a rule: the packages below one of from, except those below one of except, must not
// import anything that matches one of deny.
type wall struct {
	why    string
	from   []string
	except []string
	deny   []string
}

var walls = []wall{
	{
		why:    "the protocol cores do no I/O, log nothing and make no system call",
		from:   []string{"ppp", "pptp", "l2tp"},
		except: []string{"pptp/server", "pptp/client", "pptp/gre", "l2tp/server", "l2tp/client", "l2tp/data"},
		deny:   []string{"=net", "os", "log", "golang.org/x/sys", "github.com"},
	},
	{
		why:  "a carrier knows nothing of PPP: internal/session connects them",
		from: []string{"pptp", "l2tp", "internal/link", "internal/pktbuf"},
		deny: []string{"vpnd/ppp", "vpnd/auth", "vpnd/usermgmt", "vpnd/internal/state", "vpnd/internal/session", "vpnd/internal/daemon"},
	},
	{
		why:  "PPP knows no carrier and no user table",
		from: []string{"ppp"},
		deny: []string{"vpnd/pptp", "vpnd/l2tp", "vpnd/auth", "vpnd/usermgmt", "vpnd/internal"},
	},
	{
		why:  "the wire formats import nothing of the protocols",
		from: []string{"ppp/wire", "ppp/fsm", "ppp/chap", "ppp/mppe", "pptp/wire", "l2tp/wire", "internal/link", "internal/pktbuf"},
		deny: []string{"=vpnd/ppp", "=vpnd/pptp", "=vpnd/l2tp"},
	},
	{
		why:  "the data plane moves packets and nothing else",
		from: []string{"internal/dataplane", "internal/tun", "internal/ippool", "internal/sysnet"},
		deny: []string{"vpnd/ppp", "vpnd/auth", "vpnd/usermgmt", "vpnd/internal/state", "vpnd/pptp", "vpnd/l2tp", "vpnd/mgmt"},
	},
	{
		why:  "authentication knows passwords and proofs, no protocol and no storage",
		from: []string{"auth"},
		deny: []string{"vpnd/ppp", "vpnd/usermgmt", "vpnd/internal"},
	},
	{
		why:  "a session knows its call, its engine and its packets, not who owns them",
		from: []string{"internal/session"},
		deny: []string{"vpnd/pptp", "vpnd/l2tp", "vpnd/usermgmt", "vpnd/internal/state", "vpnd/mgmt", "vpnd/internal/daemon"},
	},
	{
		why:  "the users are profiles, rules and an interface, wherever they are kept",
		from: []string{"usermgmt"},
		deny: []string{"vpnd/internal/state", "vpnd/mgmt", "modernc.org", "os"},
	},
	{
		why:    "only the programs choose the store; all others use the interfaces of internal/state",
		from:   []string{"."},
		except: []string{"cmd", "internal/daemon", "internal/preflight", "internal/demo"},
		deny:   []string{"vpnd/internal/state/sqlite"},
	},
	{
		why:    "a database driver is for the store alone",
		from:   []string{"."},
		except: []string{"internal/state/sqlite"},
		deny:   []string{"modernc.org"},
	},
	{
		why:  "management knows the user table, and the rest only by its small interfaces",
		from: []string{"mgmt"},
		deny: []string{"vpnd/internal/session", "vpnd/internal/dataplane", "vpnd/internal/daemon", "vpnd/internal/hook", "vpnd/internal/capture", "vpnd/pptp", "vpnd/l2tp"},
	},
	{
		why:    "the API knows no pages and no metrics",
		from:   []string{"mgmt"},
		except: []string{"mgmt/web", "mgmt/metrics"},
		deny:   []string{"vpnd/mgmt/web", "vpnd/mgmt/metrics"},
	},
	{
		why:  "listeners serve a handler, whatever it does",
		from: []string{"internal/https", "internal/peercred"},
		deny: []string{"vpnd/internal/config", "vpnd/mgmt", "vpnd/usermgmt", "vpnd/auth"},
	},
	{
		why:  "hooks and metrics get their data from their callers",
		from: []string{"internal/hook", "internal/qrcode", "mgmt/metrics"},
		deny: []string{"vpnd"},
	},
	{
		why:  "every part may use reasons, but reasons know no part",
		from: []string{"internal/reason"},
		deny: []string{"vpnd"},
	},
	{
		why:  "checks look at the configuration, the machine and the user table, and serve nobody",
		from: []string{"internal/preflight"},
		deny: []string{"vpnd/internal/session", "vpnd/internal/dataplane", "vpnd/internal/hook", "vpnd/internal/capture", "vpnd/mgmt", "vpnd/ppp"},
	},
	{
		why:    "only internal/daemon knows all parts",
		from:   []string{"."},
		except: []string{"cmd", "internal/daemon"},
		deny:   []string{"vpnd/internal/daemon", "vpnd/internal/preflight"},
	},
}

func TestWalls(t *testing.T) {
	seen := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "build" || d.Name() == "examples" || strings.HasPrefix(d.Name(), ".") && path != ".") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if seen[imported] = true; imported == "vpnd/internal/reason" {
				continue
			}
			for _, w := range walls {
				if below(filepath.Dir(path), w.from) && !below(filepath.Dir(path), w.except) && below(imported, w.deny) {
					t.Errorf("%s imports %s: %s", path, imported, w.why)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if !seen["vpnd/internal/pktbuf"] {
		t.Fatal("found no import of vpnd/internal/pktbuf: the walk missed the tree")
	}
}

// TestWallsRefuse checks that a forbidden import of each kind is found.
func TestWallsRefuse(t *testing.T) {
	for _, c := range []struct {
		dir, imported string
		denied        bool
	}{
		{"ppp", "net", true},
		{"ppp", "net/netip", false},
		{"ppp/wire", "vpnd/ppp", true},
		{"ppp", "vpnd/ppp/wire", false},
		{"pptp/server", "vpnd/ppp/wire", true},
		{"pptp/server", "net", false},
		{"pptp", "log/slog", true},
		{"internal/session", "vpnd/pptp/server", true},
		{"usermgmt", "vpnd/internal/daemon", true},
		{"usermgmt/exchange", "vpnd/internal/state", true},
		{"internal/state", "vpnd/internal/state/sqlite", true},
		{"internal/state/sqlite", "modernc.org/sqlite/lib", false},
		{"mgmt/access", "vpnd/internal/state/sqlite", true},
		{"mgmt/access", "vpnd/internal/state", false},
		{"mgmt", "vpnd/internal/session", true},
		{"mgmt", "vpnd/mgmt/web", true},
		{"mgmt/web", "vpnd/mgmt", false},
		{"internal/hook", "vpnd/auth", true},
		{"internal/https", "vpnd/mgmt/access", true},
		{"internal/preflight", "vpnd/internal/session", true},
		{"internal/preflight", "vpnd/internal/https", false},
		{"cmd/vpnd", "vpnd/internal/daemon", false},
	} {
		denied := false
		for _, w := range walls {
			denied = denied || below(c.dir, w.from) && !below(c.dir, w.except) && below(c.imported, w.deny)
		}
		if denied != c.denied {
			t.Errorf("%s importing %s: denied is %v, want %v", c.dir, c.imported, denied, c.denied)
		}
	}
}

// written lists the places that may call a function that writes files, and what they write.
// internal/atomicfile writes everything that must survive a crash.
var written = map[string]map[string]string{
	"os.Rename(":     {},
	"os.Create(":     {},
	"os.CreateTemp(": {},
	"os.WriteFile(":  {"internal/sysnet/sysnet.go": "a kernel setting", "internal/demo/demo.go": "the configuration of a demonstration"},
}

func TestFilesThatLast(t *testing.T) {
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			if err == nil && (path == "testenv" || path == "internal/atomicfile" || path == "examples" || path == "build") {
				return fs.SkipDir
			}
			return err
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for call, may := range written {
			if strings.Contains(string(source), call) && may[path] == "" {
				t.Errorf("%s calls %s): write files that must survive a crash with internal/atomicfile", path, call)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestPackagesAreDocumented checks that every package has a package comment.
func TestPackagesAreDocumented(t *testing.T) {
	documented := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		dir := filepath.Dir(path)
		documented[dir] = documented[dir] || file.Doc != nil
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for dir, ok := range documented {
		if !ok {
			t.Errorf("%s has no package comment", dir)
		}
	}
}

// TestFuzzTargetsHaveInputs checks that each fuzz target has committed inputs. A short run begins
// with them.
func TestFuzzTargetsHaveInputs(t *testing.T) {
	target := regexp.MustCompile(`(?m)^func (Fuzz\w+)\(`)
	found := 0
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, match := range target.FindAllSubmatch(source, -1) {
			found++
			inputs, err := os.ReadDir(filepath.Join(filepath.Dir(path), "testdata", "fuzz", string(match[1])))
			if err != nil || len(inputs) == 0 {
				t.Errorf("%s: %s has no inputs in testdata/fuzz: %v", path, match[1], err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found < 20 {
		t.Errorf("found %d fuzz targets, want 20 or more: the walk misses the tree", found)
	}
}

// below reports whether path is one of names or lies below one. "=name" is only that name, and "."
// is everything.
func below(path string, names []string) bool {
	for _, name := range names {
		if exact, ok := strings.CutPrefix(name, "="); ok {
			if path == exact {
				return true
			}
			continue
		}
		if name == "." || path == name || strings.HasPrefix(path, name+"/") {
			return true
		}
	}
	return false
}

// TestFilesAreShort checks that no file has more than 500 lines.
func TestFilesAreShort(t *testing.T) {
	const limit = 500
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") {
			return err
		}
		source, err := os.ReadFile(path)
		if n := strings.Count(string(source), "\n"); n > limit {
			t.Errorf("%s has %d lines, want at most %d: split it by topic", path, n, limit)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
