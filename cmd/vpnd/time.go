package main

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"
	"vpnd/internal/timesync"

	"github.com/spf13/cobra"
)

func newTimeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "time",
		Short: "Ask the time servers by how much the host's clock is off",
		Long: "Asks all time servers of the configuration (time.servers), and shows by how much the host's clock is off.\n" +
			"It does not set any clock. Exit status 15 means that no time server is set, or that none gives a usable time.",
		Args: named(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			clock := timesync.New(timesync.Config{Servers: cfg.Time.Servers, Interval: cfg.Time.Interval, MaxOffset: cfg.Time.MaxOffset})
			state, err := clock.Inquire(cmd.Context())
			view := clock.View()
			if asJSON(cmd) {
				err = errors.Join(err, printJSON(cmd, view))
			} else {
				err = errors.Join(err, printTime(cmd.OutOrStdout(), view))
			}
			switch {
			case state.Status == timesync.NoServers:
				return &exitError{statusNoTime, errors.Join(err, errors.New("time.servers is empty: vpnd uses the host's clock"))}
			case err != nil:
				return &exitError{statusNoTime, err}
			case state.Status == timesync.Off:
				return say(cmd, "the host's clock is off by more than time.max_offset (%v): %s", cfg.Time.MaxOffset, timesync.Fix)
			}
			return nil
		},
	}
	cmd.Flags().Bool("json", false, "print JSON")
	return cmd
}

func printTime(out io.Writer, v timesync.View) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	lines := [][2]string{
		{"current system time", v.Clock.Format("2006-01-02 15:04:05 MST")},
		{"local time", v.Local.Format("2006-01-02 15:04:05 MST (-07:00)")},
		{"state", string(v.State)},
	}
	if v.Measured {
		lines = append(lines, [][2]string{
			{"corrected time", v.Corrected.Format("2006-01-02 15:04:05 MST")},
			{"offset", offset(v.Offset)},
			{"round trip", seconds(v.RoundTrip).String()},
			{"server", v.Server},
		}...)
	}
	for _, line := range lines {
		_, _ = fmt.Fprintf(w, "%s:\t%s\n", line[0], line[1]) // the error comes from Flush
	}
	if len(v.Servers) > 0 {
		_, _ = fmt.Fprintln(w, "\nSERVER\tOFFSET\tROUND TRIP\tSTRATUM\tSAYS")
	}
	for _, s := range v.Servers {
		switch {
		case s.Error != "":
			_, _ = fmt.Fprintf(w, "%s\t-\t-\t-\t%s\n", printable(s.Server), printable(s.Error))
		default:
			_, _ = fmt.Fprintf(w, "%s\t%v\t%v\t%d\t%s\n", s.Server, signed(s.Offset), seconds(s.RoundTrip), s.Stratum, says(s))
		}
	}
	return w.Flush()
}

// says describes a server's answer.
func says(s timesync.ServerView) string {
	word := "ok"
	if s.Outvoted {
		word = "outvoted"
	}
	if s.SameAs != "" {
		word += fmt.Sprintf(" (the same server as %s: one vote for both)", s.SameAs)
	}
	return word
}

// seconds is a duration of a View, rounded for people.
func seconds(s float64) time.Duration {
	return time.Duration(s * float64(time.Second)).Round(100 * time.Microsecond)
}

func signed(s float64) string {
	if d := seconds(s); d > 0 {
		return "+" + d.String()
	}
	return seconds(s).String()
}

func offset(s float64) string {
	switch d := seconds(s); {
	case d > 0:
		return signed(s) + " (the host's clock is behind)"
	case d < 0:
		return signed(s) + " (the host's clock is ahead)"
	default:
		return "0s"
	}
}
