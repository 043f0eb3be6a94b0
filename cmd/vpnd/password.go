package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// maxLine limits the length of a password line; the rules allow far less.
const maxLine = 4096

// passwordFrom reads the first line of a file that the flag names, or of standard input for "-".
func passwordFrom(cmd *cobra.Command, flag, path string) (string, error) {
	lines, err := linesFrom(cmd, flag, path, 1)
	if err != nil {
		return "", err
	}
	return lines[0], nil
}

// linesFrom reads the first n lines, none of which may be empty. A missing line is a fault of the
// command line.
func linesFrom(cmd *cobra.Command, flag, path string, n int) ([]string, error) {
	in, name := cmd.InOrStdin(), "standard input"
	if path != "-" {
		name = path
		file, err := os.Open(path) //nolint:gosec // the administrator names the file
		if err != nil {
			return nil, fmt.Errorf("%s: %w", flag, err)
		}
		defer func() { _ = file.Close() }()
		in = file
	}
	lines := make([]string, n)
	r := newLines(in)
	for i := range lines {
		line, err := r.next()
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("%s: %s: %w", flag, name, err)
		}
		if lines[i] = line; line == "" {
			return nil, usagef(cmd, "%s: %s: line %d is empty, or missing", flag, name, i+1)
		}
	}
	return lines, nil
}

// askPassword asks for a user's password.
func askPassword(cmd *cobra.Command) (string, error) { return askTwice(cmd, noTerminal) }

// askTwice asks for a password twice on the terminal, without echo. Without a terminal it gives a
// usage error with the text of otherwise.
func askTwice(cmd *cobra.Command, otherwise string) (string, error) {
	password, err := askOnce(cmd, "Password: ", otherwise)
	if err != nil {
		return "", err
	}
	again, err := askOnce(cmd, "The same again: ", otherwise)
	if err != nil {
		return "", err
	}
	switch {
	case password != again:
		return "", &exitError{statusRule, errors.New("the two passwords differ; nothing was changed")}
	case password == "":
		return "", usagef(cmd, "the password is empty; nothing was changed")
	}
	return password, nil
}

const noTerminal = "no terminal to ask for a password on: give --password-file FILE (- for standard input), --password, or --motp-secret with --motp-pin"

// askOnce asks on the terminal, without echo. Without a terminal it gives a usage error with the
// text of otherwise.
func askOnce(cmd *cobra.Command, prompt, otherwise string) (string, error) {
	file, ok := cmd.InOrStdin().(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return "", usagef(cmd, "%s", otherwise)
	}
	return promptOn(cmd, file, prompt)
}

// promptOn reads a line without echo. A signal meanwhile restores the echo before it ends the
// program.
func promptOn(cmd *cobra.Command, terminal *os.File, prompt string) (string, error) {
	fd := int(terminal.Fd())
	state, err := term.GetState(fd)
	if err != nil {
		return "", err
	}
	signals, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	defer close(done)
	defer signal.Stop(signals)
	go func() {
		select {
		case <-signals:
			_ = term.Restore(fd, state)
			os.Exit(1)
		case <-done:
		}
	}()
	if _, err := fmt.Fprint(cmd.ErrOrStderr(), prompt); err != nil {
		return "", err
	}
	password, err := term.ReadPassword(fd)
	_, _ = fmt.Fprintln(cmd.ErrOrStderr())
	return string(password), err
}
