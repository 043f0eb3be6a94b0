package buildinfo

import (
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	stamps := []debug.BuildSetting{{Key: "vcs.revision", Value: "0123456789abcdef0123"}, {Key: "vcs.modified", Value: "true"}}
	for _, c := range []struct {
		release, commit string
		build           debug.BuildInfo
		want            string
	}{
		{"v1.2.0", "abc", debug.BuildInfo{Main: debug.Module{Version: "(devel)"}, Settings: stamps}, "v1.2.0, commit abc, "},
		{"", "", debug.BuildInfo{Main: debug.Module{Version: "v1.3.0"}, Settings: stamps}, "v1.3.0, commit 0123456789ab-dirty, "},
		{"", "", debug.BuildInfo{Main: debug.Module{Version: "(devel)"}}, "unreleased, commit unknown, "},
		{"", "", debug.BuildInfo{}, "unreleased, commit unknown, "},
	} {
		if got := read(c.release, c.commit, &c.build).String(); got != c.want+runtime.Version() {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
	if got := Read().String(); strings.Contains(got, "devel") {
		t.Error(got)
	}
}
