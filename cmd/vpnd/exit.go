package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"vpnd/auth"
	"vpnd/internal/reason"
	"vpnd/internal/state"
	"vpnd/mgmt/client"
	"vpnd/usermgmt"

	"github.com/spf13/cobra"
)

// The exit statuses. A status keeps its meaning in all later versions.
const (
	statusFailed     = reason.ExitFailed
	statusUsage      = 2
	statusNotFound   = 10
	statusExists     = 11
	statusRule       = 12
	statusNotRunning = 13
	statusPermission = 14
	statusNoTime     = 15
)

// statuses are all exit statuses with their meanings.
var statuses = []struct {
	code int
	text string
}{
	{0, "Done. Also if there was nothing to change."},
	{statusFailed, "This machine failed, such as a file or the user table. `vpnd check`: serving would fail."},
	{statusUsage, "The command line is wrong, such as an unknown option or a missing argument. Also if a file or standard input is empty or incomplete, such as an empty password file."},
	{reason.ExitNoAnswer, "`vpnd dial`: the server does not answer."},
	{reason.ExitRefused, "`vpnd dial`: the server refuses the call."},
	{reason.ExitPassword, "`vpnd dial`: the server refuses the password."},
	{reason.ExitNoAddress, "`vpnd dial`: the server has no free address."},
	{reason.ExitProtocol, "`vpnd dial`: client and server cannot agree on a protocol."},
	{reason.ExitLost, "`vpnd dial`: the connection was lost."},
	{reason.ExitUnproven, "`vpnd dial`: the server does not prove that it knows the password, or asks for no authentication although `--auth` is given."},
	{statusNotFound, "There is no such user, connection, administrator or token."},
	{statusExists, "The user, administrator or token exists already."},
	{statusRule, "A value or a change breaks a rule, such as a PIN of two digits, an address in use or a faulty import file."},
	{statusNotRunning, "The daemon is not running."},
	{statusPermission, "Permission denied: run the command as root."},
	{statusNoTime, "`vpnd time`: no time server is set, or none gives a usable time."},
}

// exitError is a failure with an exit status of its own.
type exitError struct {
	code int
	error
}

func (e *exitError) Unwrap() error { return e.error }

// exitStatus is the exit status for an error.
func exitStatus(err error) int {
	var (
		exit    *exitError
		usage   *usageError
		problem *client.ProblemError
		rule    *usermgmt.RuleError
		enrol   *auth.EnrolError
	)
	is := func(targets ...error) bool {
		for _, target := range targets {
			if errors.Is(err, target) {
				return true
			}
		}
		return false
	}
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.code
	case errors.As(err, &usage):
		return statusUsage
	case errors.As(err, &problem):
		return problemStatus(problem.Status)
	case is(usermgmt.ErrNoUser, state.ErrNoAdministrator, state.ErrNoToken):
		return statusNotFound
	case is(usermgmt.ErrExists, state.ErrAdministratorExists, state.ErrTokenExists):
		return statusExists
	case errors.As(err, &rule), errors.As(err, &enrol),
		is(state.ErrLastAdministrator, state.ErrTooMany, auth.ErrNoToken, auth.ErrNotInRow, auth.ErrUsed):
		return statusRule
	case is(client.ErrNotRunning):
		return statusNotRunning
	case is(fs.ErrPermission):
		return statusPermission
	default:
		return statusFailed
	}
}

// problemStatus is the exit status for the HTTP status of an answer.
func problemStatus(answer int) int {
	switch answer {
	case http.StatusNotFound:
		return statusNotFound
	case http.StatusConflict, http.StatusPreconditionFailed, http.StatusUnprocessableEntity:
		return statusRule
	case http.StatusUnauthorized, http.StatusForbidden:
		return statusPermission
	default:
		return statusFailed
	}
}

// statusTable is the table of exit statuses in Markdown.
func statusTable() string {
	var b strings.Builder
	b.WriteString("| status | meaning |\n| --- | --- |\n")
	for _, s := range statuses {
		_, _ = fmt.Fprintf(&b, "| %d | %s |\n", s.code, s.text)
	}
	return b.String()
}

// newStatusTopic is `vpnd help exit-status`.
func newStatusTopic() *cobra.Command {
	var b strings.Builder
	b.WriteString("Exit statuses of all commands:\n\n")
	for _, s := range statuses {
		_, _ = fmt.Fprintf(&b, "%4d  %s\n", s.code, strings.ReplaceAll(s.text, "`", "'"))
	}
	return &cobra.Command{Use: "exit-status", Short: "What the exit status of a command means", Long: b.String()}
}
