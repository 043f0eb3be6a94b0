package main

import (
	"time"
	"vpnd/mgmt"
	"vpnd/mgmt/client"

	"github.com/spf13/cobra"
)

const shutdownHelp = `Ends the daemon: every call is hung up properly. With --when-empty no more calls are taken, and the daemon ends
when the last connection has gone, or when the time of --within is over. --cancel calls that off.`

func newShutdownCommand() *cobra.Command {
	var whenEmpty, cancel bool
	var within time.Duration
	cmd := &cobra.Command{
		Use: "shutdown", Short: "End the daemon, at once or when the last connection has gone", Long: shutdownHelp, Args: named(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			how := mgmt.ShutdownRequest{WhenEmpty: whenEmpty}
			limited := cmd.Flags().Changed("within")
			switch {
			case limited && !whenEmpty:
				return usagef(cmd, "--within is of no use without --when-empty")
			case limited && within <= 0:
				return usagef(cmd, "--within %v: a time such as 30m or 1h", within)
			case cancel && whenEmpty:
				return usagef(cmd, "--cancel and --when-empty contradict each other")
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
				return say(cmd, "the daemon hangs everybody up and ends (connections: %d)", s.Connections)
			case s.At != nil:
				return say(cmd, "no more calls are taken; the daemon ends when the last connection has gone, or at %s (connections: %d)", s.At.Local().Format(time.DateTime), s.Connections)
			default:
				return say(cmd, "no more calls are taken; the daemon ends when the last connection has gone (connections: %d)", s.Connections)
			}
		},
	}
	cmd.Flags().Bool("json", false, "print JSON")
	cmd.Flags().BoolVar(&whenEmpty, "when-empty", false, "take no more calls, and end when the last connection has gone")
	cmd.Flags().DurationVar(&within, "within", 0, "with --when-empty: hang up what is left after `TIME`, such as 1h")
	cmd.Flags().BoolVar(&cancel, "cancel", false, "take calls again: a shutdown that waits is called off")
	return cmd
}

// shutdownView is the shutdown that waits, if there is one, and whether the command has changed that.
type shutdownView struct {
	mgmt.ShutdownState
	Changed bool `json:"changed"`
}

// cancelShutdown calls a shutdown off. If none waits, there is nothing to do.
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
		return say(cmd, "the daemon takes calls again")
	default:
		return say(cmd, "no shutdown waits: nothing was changed")
	}
}
