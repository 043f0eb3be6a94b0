package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	// codeLine and codeWord find the commands of a page: lines of a code block up to a comment, and
	// text between backticks.
	codeLine = regexp.MustCompile(`(?m)^(?: {4}|\t)+(?:sudo )?(?:build/)?vpnd ([^#\n|]*)`)
	codeWord = regexp.MustCompile("`(?:sudo )?(?:build/)?vpnd ([^`]+)`")
	word     = regexp.MustCompile(`"[^"]*"|\S+`)
)

// The commands and flags on the pages exist.
func TestCommandsOfPages(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	root := newRootCommand()
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	found := 0
	for _, page := range append(pages, "../../README.md", "../../ARCHITECTURE.md") {
		data, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range slices.Concat(codeLine.FindAllStringSubmatch(string(data), -1), codeWord.FindAllStringSubmatch(string(data), -1)) {
			found++
			words := word.FindAllString(m[1], -1)
			cmd, rest, err := root.Find(words)
			if err != nil || !cmd.HasParent() {
				t.Errorf("%s: vpnd %s: unknown command", page, m[1])
				continue
			}
			for _, flag := range rest {
				name, isFlag := strings.CutPrefix(flag, "--")
				if isFlag && name != "help" && cmd.Flag(name) == nil {
					t.Errorf("%s: vpnd %s: unknown flag --%s", page, m[1], name)
				}
			}
		}
	}
	if found < 60 {
		t.Errorf("found %d commands, want the pages to show 60 at least", found)
	}
}
