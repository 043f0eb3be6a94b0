package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// input asks on the terminal, or else takes one line of standard input after the other.
type input struct {
	cmd   *cobra.Command
	lines *bufio.Reader
}

func newInput(cmd *cobra.Command) *input {
	return &input{cmd, bufio.NewReader(io.LimitReader(cmd.InOrStdin(), maxLine))}
}

// secret asks for a field without echo.
func (in *input) secret(field string) (string, error) {
	if in.terminal() {
		return promptOn(in.cmd, in.cmd.InOrStdin().(*os.File), label(field)+": ")
	}
	return in.line("--" + field)
}

// ask asks for what may be seen.
func (in *input) ask(prompt string) (string, error) {
	if _, err := fmt.Fprint(in.cmd.ErrOrStderr(), prompt); err != nil {
		return "", err
	}
	line, err := in.lines.ReadString('\n')
	if err != nil && (!errors.Is(err, io.EOF) || line == "") {
		return "", errNoLine
	}
	return strings.TrimSpace(line), nil
}

// line takes the next line of standard input, which may not be empty.
func (in *input) line(flag string) (string, error) {
	line, err := in.lines.ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("%s: %w", flag, err)
	}
	if line = strings.TrimRight(line, "\r\n"); line == "" {
		return "", fmt.Errorf("%s: the line of standard input is empty, or missing", flag)
	}
	return line, nil
}

func (in *input) terminal() bool {
	file, ok := in.cmd.InOrStdin().(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
