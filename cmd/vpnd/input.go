package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"
	"vpnd/usermgmt"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// input asks on the terminal, or else reads standard input line by line.
type input struct {
	cmd   *cobra.Command
	lines *lines
}

func newInput(cmd *cobra.Command) *input {
	return &input{cmd, newLines(cmd.InOrStdin())}
}

// lines reads lines of secrets, which may come from editors and shells of Windows.
type lines struct {
	r     *bufio.Reader
	begun bool
}

func newLines(r io.Reader) *lines { return &lines{r: bufio.NewReader(io.LimitReader(r, maxLine))} }

var errEncoding = &exitError{statusRule, errors.New("the line is not UTF-8: save the file as UTF-8 (in PowerShell, Out-File -Encoding utf8)")}

// next is the next line, without its end and without a byte order mark of UTF-8. With the last line
// the error is also io.EOF if nothing ends it.
func (l *lines) next() (string, error) {
	line, err := l.r.ReadString('\n')
	if !l.begun {
		line = strings.TrimPrefix(line, "\ufeff")
		l.begun = true
	}
	if !utf8.ValidString(line) || strings.Contains(line, "\x00") {
		return "", errEncoding
	}
	return strings.TrimRight(line, "\r\n"), err
}

// secret asks for a field without echo.
func (in *input) secret(field string) (string, error) {
	if in.terminal() {
		f, _ := usermgmt.FieldNamed(field)
		return promptOn(in.cmd, in.cmd.InOrStdin().(*os.File), f.Label+": ")
	}
	return in.line("--" + field)
}

// ask asks for a field with echo.
func (in *input) ask(prompt string) (string, error) {
	var err error
	if asJSON(in.cmd) {
		err = say(in.cmd, "%s", prompt)
	} else {
		_, err = fmt.Fprintf(in.cmd.ErrOrStderr(), "%s: ", prompt)
	}
	if err != nil {
		return "", err
	}
	line, err := in.lines.next()
	if err != nil && (!errors.Is(err, io.EOF) || line == "") {
		return "", usagef(in.cmd, "standard input has ended; nothing was changed")
	}
	return strings.TrimSpace(line), nil
}

// line reads the next line of standard input, which must not be empty.
func (in *input) line(flag string) (string, error) {
	line, err := in.lines.next()
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("%s: %w", flag, err)
	}
	if line == "" {
		return "", usagef(in.cmd, "%s: the line of standard input is empty, or missing", flag)
	}
	return line, nil
}

func (in *input) terminal() bool {
	file, ok := in.cmd.InOrStdin().(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
