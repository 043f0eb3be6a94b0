package auth_test

import (
	"strings"
	"testing"
	"time"
	"vpnd/auth"
	"vpnd/auth/motp"
	"vpnd/auth/totp"
)

func TestEnrol(t *testing.T) {
	now := time.Date(2026, 5, 6, 12, 0, 5, 0, time.UTC)
	for _, token := range []auth.Token{motp.Token{Secret: "f3a1c09d5be2478890aa1b2c3d4e5f60", PIN: "1234"}, totp.Token{Secret: "GEZDGNBVGY3TQOJQ"}} {
		stride := token.Stride()
		current := motp.Step(now) / stride * stride
		for _, c := range []struct {
			steps int64
			says  string
		}{
			{0, ""},
			{18, ""},
			{-18, ""},
			{21, "the token's clock is 4 minutes ahead"},
			{-21, "the token's clock is 4 minutes behind"},
			{360, "60 minutes ahead"},
			{3 * 8640, "not a code of the token"},
		} {
			code := strings.ToUpper(token.Code(current + c.steps))
			state, err := auth.Enrol(token, code, now, 3*time.Minute)
			switch {
			case c.says == "" && (err != nil || state != auth.TokenState{LastStep: current + c.steps, Offset: current + c.steps - motp.Step(now)}):
				t.Errorf("%T, %d steps: %+v, %v", token, c.steps, state, err)
			case c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says) || state != auth.TokenState{}):
				t.Errorf("%T, %d steps: %v", token, c.steps, err)
			}
		}
		if _, err := auth.Enrol(token, "", now, time.Minute); err == nil {
			t.Errorf("%T: no code proves it", token)
		}
	}
}
