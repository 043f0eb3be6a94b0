// Package scripts_test checks assumptions of the release scripts.
package scripts_test

import (
	"os"
	"regexp"
	"testing"
)

// match gives the text of the first group of pattern in the file at path.
func match(t *testing.T, path, pattern string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(pattern).FindSubmatch(text)
	if found == nil {
		t.Fatalf("%s has nothing that matches %s", path, pattern)
	}
	return string(found[1])
}

// The newest version of the change log is the one that make release builds.
func TestVersion(t *testing.T) {
	made := match(t, "../Makefile", `(?m)^VERSION := (.*)$`)
	described := match(t, "../CHANGELOG.md", `(?m)^## (\S+)`)
	if made != described {
		t.Errorf("the Makefile makes version %s, the first one in CHANGELOG.md is %s: make them the same", made, described)
	}
}

// The compiler of a release is the exact version that go.mod names: another one gives other bytes.
func TestCompilerIsExact(t *testing.T) {
	match(t, "../go.mod", `(?m)^go (\d+\.\d+\.\d+)$`)
}
