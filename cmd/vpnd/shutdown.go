package main

import (
	"time"
	"vpnd/mgmt"
	"vpnd/mgmt/client"

	"github.com/spf13/cobra"
)

const shutdownHelp = `Ends the daemon after it has hung up all calls. With --when-empty, the daemon accepts no new calls, and ends after the last
connection, or when the time of --within is over. --cancel cancels a shutdown that waits.`

func newShutdownCommand() *cobra.Command {
	var whenEmpty, cancel bool
	var within time.Duration
	cmd := &cobra.Command{
		Use: "shutdown", Short: "End the daemon, immediately or after the last connection", Long: shutdownHelp, Args: named(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			how := mgmt.ShutdownRequest{WhenEmpty: whenEmpty}
			limited := cmd.Flags().Changed("within")
			switch {
			case limited && !whenEmpty:
				return usagef(cmd, "--within needs --when-empty")
			case limited && within <= 0:
				return usagef(cmd, "--within %v: give a time such as 30m or 1h", within)
			case cancel && whenEmpty:
				return usagef(cmd, "--cancel and --when-empty exclude each other")
			case limited:
				how.Within = within.String()
			}
			c, err := newClient(cmd)
			if err != nil {
				return err
			}
			if cancel {
				return cancelShutdown(cmd, c)
			}
			s, err := c.ShutDown(cmd.Context(), how)
			if err != nil {
				return err
			}
			switch {
			case asJSON(cmd):
				return printJSON(cmd, shutdownView{s, true})
			case !whenEmpty:
				return say(cmd, "the daemon hangs up all calls and ends (connections: %d)", s.Connections)
			case s.At != nil:
				return say(cmd, "the daemon accepts no new calls; it ends after the last connection, or at %s (connections: %d)", s.At.Local().Format(time.DateTime), s.Connections)
			default:
				return say(cmd, "the daemon accepts no new calls; it ends after the last connection (connections: %d)", s.Connections)
			}
		},
	}
	cmd.Flags().Bool("json", false, "print JSON")
	cmd.Flags().BoolVar(&whenEmpty, "when-empty", false, "accept no new calls, and end after the last connection")
	cmd.Flags().DurationVar(&within, "within", 0, "with --when-empty: hang up the rest after `TIME`, such as 1h")
	cmd.Flags().BoolVar(&cancel, "cancel", false, "cancel a shutdown that waits, and accept calls again")
	return cmd
}

// shutdownView is the pending shutdown, if there is one, and whether the command has changed that.
type shutdownView struct {
	mgmt.ShutdownState
	Changed bool `json:"changed"`
}

// cancelShutdown cancels a shutdown. If none is pending, there is nothing to do.
func cancelShutdown(cmd *cobra.Command, c *client.Client) error {
	s, err := c.Shutdown(cmd.Context())
	if err != nil {
		return err
	}
	waits := s.Pending
	if waits {
		if err := c.CancelShutdown(cmd.Context()); err != nil {
			return err
		}
	}
	switch {
	case asJSON(cmd):
		return printJSON(cmd, shutdownView{mgmt.ShutdownState{Connections: s.Connections}, waits})
	case waits:
		return say(cmd, "the daemon accepts calls again")
	default:
		return say(cmd, "no shutdown is pending: nothing was changed")
	}
}
