package testenv

import (
	"os"
	"testing"
)

// RequireEnv is the environment variable that turns a skip for want of rights into a failure. The
// project's own test command sets it.
const RequireEnv = "VPND_REQUIRE_PRIVILEGED"

// NeedRoot skips the test for someone who runs it without root's rights, and fails it where they were
// promised.
func NeedRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv(RequireEnv) != "" || os.Getenv("CI") != "" {
		t.Fatal("this test needs root")
	}
	t.Skip("skipped: this test needs root (sudo make test runs it)")
}
