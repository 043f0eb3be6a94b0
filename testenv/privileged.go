package testenv

import (
	"os"
	"testing"
)

// RequireEnv is the environment variable that makes a test fail where it would skip for want of
// rights. The project's own test command sets it.
const RequireEnv = "VPND_REQUIRE_PRIVILEGED"

// NeedRoot skips the test if it does not run as root. If RequireEnv or CI is set, the test fails
// instead.
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
