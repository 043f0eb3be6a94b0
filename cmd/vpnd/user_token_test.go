package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image/color"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"
	"vpnd/auth"
	"vpnd/auth/motp"
	"vpnd/auth/totp"
	"vpnd/internal/state"

	"github.com/boombuler/barcode/qr"
	"golang.org/x/sys/unix"
)

// enrol runs vpnd user motp or totp for a person who reads the secret and answers each prompt.
func (h house) enrol(answer func(secret string, try int) string, args ...string) (status int, stdout, stderr string) {
	h.t.Helper()
	in, typed := io.Pipe()
	prompts, err := io.Pipe()
	var out bytes.Buffer
	done := make(chan int, 1)
	go func() {
		done <- run(h.t.Context(), append(args, "--config", h.config), in, &out, err)
		_ = err.Close()
	}()
	var told strings.Builder
	one := make([]byte, 1)
	for try := 0; ; {
		if _, err := prompts.Read(one); err != nil {
			break
		}
		told.Write(one)
		if strings.HasSuffix(told.String(), "The code that the app shows: ") {
			secret := regexp.MustCompile(`secret: (\S+)`).FindStringSubmatch(out.String())
			if secret == nil {
				h.t.Fatalf("no secret in %s", out.String())
			}
			_, _ = io.WriteString(typed, answer(secret[1], try)+"\n")
			try++
		}
	}
	_ = typed.Close()
	return <-done, out.String(), told.String()
}

func TestUserMotp(t *testing.T) {
	h := newHouse(t)
	code := func(ahead time.Duration) func(string, int) string {
		return func(secret string, _ int) string {
			return motp.Token{Secret: secret, PIN: "0042"}.Code(motp.Step(time.Now().Add(ahead)))
		}
	}
	for _, c := range []struct {
		answer func(string, int) string
		says   string
		tries  int
	}{
		{func(string, int) string { return "00000x" }, "vpnd: this is not a code of the token: the secret or the PIN differs, or the code is mistyped; nothing was changed", 3},
		{code(20 * time.Minute), "the token's clock is 20 minutes ahead: set the clock of the token, or of this machine; nothing was changed", 3},
	} {
		status, _, stderr := h.enrol(c.answer, "user", "motp", "anna", "--pin", "0042")
		if status != statusRule || !strings.Contains(stderr, c.says) || strings.Count(stderr, "The code that") != c.tries {
			t.Errorf("%d %s", status, stderr)
		}
	}
	h.fails("", "no such user", "user", "show", "anna")
	second := func(secret string, try int) string {
		if try == 0 {
			return "00000x"
		}
		return strings.ToUpper(code(time.Minute)(secret, try))
	}
	status, stdout, stderr := h.enrol(second, "user", "motp", "anna", "--pin", "0042", "--issuer", "my vpn")
	if status != 0 || !strings.Contains(stderr, "user anna added with a mOTP token") || !regexp.MustCompile(`(?m)^link:   motp://my%20vpn:anna\?secret=[0-9a-f]{32}$`).MatchString(stdout) ||
		!strings.Contains(stdout, "█") || strings.Contains(stdout, "0042") {
		t.Errorf("%d %s%s", status, stdout, stderr)
	}
	p := h.profile("anna")
	if p.MOTPPIN != "0042" || !strings.Contains(stdout, p.MOTPSecret) || len(p.Services) != 2 || p.IdleTimeout != 5*time.Minute {
		t.Errorf("%+v", p)
	}
	h.withStore(func(s state.Store) error {
		state, err := s.Token(t.Context(), "anna")
		if state.Offset < 5 || state.Offset > 6 || state.LastStep == 0 {
			t.Errorf("%+v", state)
		}
		return err
	})
	h.fails("", "has a mOTP token already: give --new", "user", "motp", "anna", "--pin", "1234")
	h.fails("", "--pin is missing", "user", "motp", "ben")
	h.fails("", "PIN has 4 to 7", "user", "motp", "ben", "--pin", "12")
	h.fails("", "--code needs --secret", "user", "motp", "ben", "--pin", "1234", "--code", "123456")
	h.fails("", "must not contain a colon", "user", "motp", "ben", "--pin", "1234", "--issuer", "my: vpn")
	h.fails("", "use it as the TOTP secret", "user", "motp", "ben", "--pin", "1234", "--secret", "otpauth://totp/a?secret=GEZDGNBVGY3TQOJQ")
	// This is a script that has the secret and a code.
	token := motp.Token{Secret: testSecret, PIN: testPIN}
	h.fails("", "not a code of the token", "user", "motp", "ben", "--secret", testSecret, "--pin", testPIN, "--code", "00000x")
	h.ok("", "user", "motp", "ben", "--secret", "motp://x:y?secret="+testSecret, "--pin", testPIN, "--code", token.Code(motp.Step(time.Now())))
	if p := h.profile("ben"); p.MOTPSecret != testSecret || p.MOTPPIN != testPIN {
		t.Errorf("%+v", p)
	}
}

func TestUserTotp(t *testing.T) {
	h := newHouse(t)
	h.ok("", "user", "add", "anna", "--motp-secret", testSecret, "--motp-pin", testPIN, "--comment", "on call")
	h.fails("", "has a mOTP token already", "user", "totp", "anna")
	answer := func(secret string, _ int) string {
		token := totp.Token{Secret: secret}
		return token.Code(motp.Step(time.Now()) / token.Stride() * token.Stride())
	}
	status, stdout, stderr := h.enrol(answer, "user", "totp", "anna", "--new")
	if status != 0 || !strings.Contains(stderr, "user anna changed with a TOTP token") || !strings.Contains(stdout, "otpauth://totp/vpnd:anna?") {
		t.Errorf("%d %s%s", status, stdout, stderr)
	}
	if p := h.profile("anna"); p.TOTPSecret == "" || p.MOTPSecret != "" || p.MOTPPIN != "" || p.Comment != "on call" {
		t.Errorf("%+v", p)
	}
	h.fails("", "--secret: a TOTP secret has", "user", "totp", "ben", "--secret", "1", "--no-verify")
	h.ok("", "user", "totp", "ben", "--secret", "gezd gnbv gy3t qojq", "--no-verify")
	if p := h.profile("ben"); p.TOTPSecret != "GEZDGNBVGY3TQOJQ" {
		t.Errorf("%+v", p)
	}
	h.withStore(func(s state.Store) error {
		state, err := s.Token(t.Context(), "ben")
		if state != (auth.TokenState{}) {
			t.Errorf("%+v", state)
		}
		return err
	})
}

// With --json there is one document, with the secret and the link if the script does not have them.
func TestTokensInJSON(t *testing.T) {
	h := newHouse(t)
	type view struct {
		Name, Secret, Link string
		HasTOTP            bool `json:"has_totp"`
		Changed            bool
	}
	token := totp.Token{Secret: "GEZDGNBVGY3TQOJQ"}
	code := token.Code(motp.Step(time.Now()) / token.Stride() * token.Stride())
	for _, c := range []struct {
		args  []string
		shown bool
	}{
		{[]string{"anna", "--no-verify"}, true},
		{[]string{"ben", "--secret", token.Secret, "--no-verify"}, true},
		{[]string{"carl", "--secret", token.Secret, "--code", code}, false},
	} {
		r := h.run("", append(append([]string{"user", "totp"}, c.args...), "--json")...)
		var got view
		if err := json.Unmarshal([]byte(r.stdout), &got); err != nil || r.stderr != "" || got.Name != c.args[0] || !got.HasTOTP || !got.Changed {
			t.Errorf("vpnd user totp %q --json: %+v, %v", c.args, r, err)
		}
		if p := h.profile(c.args[0]); c.shown != (got.Secret == p.TOTPSecret && strings.Contains(got.Link, p.TOTPSecret)) {
			t.Errorf("vpnd user totp %q --json: secret %q, link %q", c.args, got.Secret, got.Link)
		}
	}
	for _, c := range []struct {
		stdin, args string
		status      int
	}{
		{"", "user totp dora", statusUsage}, // nobody has a code for a secret that is not shown yet
		{"", "user totp anna --no-verify", statusExists},
		{"", "user totp dora --secret " + token.Secret, statusUsage},
		{"000000\n", "user totp dora --secret " + token.Secret, statusRule},
		{"000000\n000001\n", "user resync anna", statusRule},
	} {
		r := h.run(c.stdin, append(strings.Fields(c.args), "--json")...)
		if r.status != c.status || r.stdout != "" {
			t.Errorf("vpnd %s --json: %+v", c.args, r)
		}
		for line := range strings.Lines(r.stderr) {
			if !json.Valid([]byte(line)) {
				t.Errorf("vpnd %s --json: %q is not JSON", c.args, line)
			}
		}
	}
}

// TestQR reads the half blocks back into modules.
func TestQR(t *testing.T) {
	const (
		text  = "motp://vpnd:anna?secret=" + testSecret
		quiet = 4 // light modules around a code
	)
	code, err := qr.Encode(text, qr.M, qr.Auto)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := printQR(&out, text, 0); err != nil {
		t.Fatal(err)
	}
	size := code.Bounds().Dx()
	dark := 0
	for y, line := range strings.Split(strings.TrimRight(out.String(), "\n"), "\n") {
		for x, r := range []rune(line) {
			for half := range 2 {
				light := r == '█' || r == '▀' && half == 0 || r == '▄' && half == 1
				mx, my := x-quiet, 2*y+half-quiet
				inside := mx >= 0 && my >= 0 && mx < size && my < size
				black := inside && code.At(mx, my) == color.Black
				if 2*y+half < size+2*quiet && light == black {
					t.Fatalf("module %d, %d: light %v, black %v", mx, my, light, black)
				}
				if black {
					dark++
				}
			}
		}
	}
	if dark < size*size/3 {
		t.Errorf("%d dark modules of %d", dark, size*size)
	}
	out.Reset()
	if err := printQR(&out, text, 20); err != nil || !strings.Contains(out.String(), fmt.Sprintf("a terminal with %d columns", size+2*quiet)) {
		t.Errorf("%q, %v", out.String(), err)
	}
}

// TestTable prints on a terminal with 60 columns.
func TestTable(t *testing.T) {
	master, slave := openTerminal(t)
	if err := unix.IoctlSetWinsize(int(slave.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 60}); err != nil {
		t.Fatal(err)
	}
	header := []string{"INDEX", "USER", "STATUS", "COMMENT"}
	rows := [][]string{{"1", "änna", "connected: 10.99.0.10, 10.99.0.11, 10.99.0.12", strings.Repeat("remark ", 20)}, {"1000000", "b", "enabled", "x\x1b[2Jy"}}
	if got := terminalWidth(slave); got != 60 {
		t.Fatalf("the terminal has %d columns", got)
	}
	go func() { _ = printTable(slave, terminalWidth(slave), header, rows) }()
	seen := make([]byte, 0, 4096)
	for strings.Count(string(seen), "\n") < 3 {
		n, err := master.Read(seen[len(seen):cap(seen)])
		if err != nil {
			t.Fatal(err)
		}
		seen = seen[:len(seen)+n]
	}
	lines := strings.Split(strings.ReplaceAll(string(seen), "\r", ""), "\n")
	for _, line := range lines {
		if n := len([]rune(line)); n > 60 {
			t.Errorf("%d characters: %s", n, line)
		}
	}
	if !strings.Contains(lines[1], "1        änna  connected: 10.99") || !strings.HasSuffix(lines[1], "…") || !strings.HasSuffix(lines[2], "x?[2Jy") {
		t.Errorf("%q", lines)
	}
	var out bytes.Buffer
	if err := printTable(&out, terminalWidth(&out), header, rows); err != nil || strings.Contains(out.String(), "…") {
		t.Errorf("without a terminal: %s, %v", out.String(), err)
	}
}
