// Package buildinfo identifies this program: its release, its commit, and the Go release that built
// it.
package buildinfo

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// Make sets these by -ldflags -X.
var release, commit string

// Info identifies this program.
type Info struct {
	Release string `json:"release" doc:"Such as v1.2.0; unreleased: the source was not a release"`
	Commit  string `json:"commit" doc:"Of the source; unknown: it was not in a repository"`
	Go      string `json:"go" doc:"The Go release that the program was made with"`
}

// String is the Info in one line.
func (i Info) String() string { return fmt.Sprintf("%s, commit %s, %s", i.Release, i.Commit, i.Go) }

// Read gives the values that make has set, or else those that the Go tools have stamped.
func Read() Info {
	build, ok := debug.ReadBuildInfo()
	if !ok {
		build = &debug.BuildInfo{}
	}
	return read(release, commit, build)
}

func read(release, commit string, build *debug.BuildInfo) Info {
	if release == "" && build.Main.Version != "(devel)" {
		release = build.Main.Version
	}
	if release == "" {
		release = "unreleased"
	}
	if commit == "" {
		commit = stamped(build)
	}
	return Info{Release: release, Commit: commit, Go: runtime.Version()}
}

// stamped is the commit that the Go tools have stamped.
func stamped(build *debug.BuildInfo) string {
	commit, changed := "unknown", ""
	for _, s := range build.Settings {
		switch {
		case s.Key == "vcs.revision" && s.Value != "":
			commit = s.Value[:min(len(s.Value), 12)]
		case s.Key == "vcs.modified" && s.Value == "true":
			changed = "-dirty"
		}
	}
	return commit + changed
}
