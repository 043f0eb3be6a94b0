package testenv_test

import (
	"strings"
	"testing"
	"vpnd/testenv"
)

func TestGuest(t *testing.T) {
	lab := testenv.New(t)
	g := lab.Guest(t)
	out, code := g.Run("uname -s; ping -c 1 -W 2 192.0.2.1")
	if code != 0 || !strings.HasPrefix(out, "Linux\n") {
		t.Fatalf("status %d\n%s", code, out)
	}
	if out, code := g.Run("code 0123456789abcdef 1234 | grep -qx '[0-9a-f]\\{6\\}'"); code != 0 {
		t.Errorf("no code: %s", out)
	}
	g.Cut()
	if _, code := g.Run("ping -c 1 -W 1 192.0.2.1"); code == 0 {
		t.Error("a guest that is cut off reaches the server")
	}
	g.Connect()
	if out, code := g.Run("ping -c 1 -w 5 192.0.2.1"); code != 0 {
		t.Errorf("after Connect: %s", out)
	}
}
