package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
	"vpnd/mgmt/client"

	"github.com/spf13/cobra"
)

const captureHelp = `Record the PPP frames of a user, a connection or an outer address into a pcapng file for Wireshark. The capture ends with Ctrl-C,
--for or --size. It can begin before the client dials; then it has the negotiation from the first frame. For a user, it also has
the frames before the name is known, but not if the call ends before that: give the address for such calls.

vpnd overwrites passwords, challenges and responses. With --all, it also records the user's packets, decrypted. The history notes
each capture and its author.`

func newCaptureCommand() *cobra.Command {
	var all bool
	var duration time.Duration
	var size int
	var path string
	cmd := &cobra.Command{
		Use: "capture USER|ID|ADDRESS", Short: "Record PPP frames for Wireshark, without secrets", Long: captureHelp, Args: named("USER, ID or ADDRESS"),
		Example: `  vpnd capture alice                     # alice-20261125-093000.pcapng
  vpnd capture 203.0.113.9 --for 2m -w - | wireshark -k -i -`,
		ValidArgsFunction: oneUser,
		RunE: func(cmd *cobra.Command, args []string) error {
			if duration < time.Second || duration > time.Hour {
				return usagef(cmd, "--for %v: give a time from 1s to 1h", duration)
			}
			if size < 1 || size > 1024 {
				return usagef(cmd, "--size %d: give a size from 1 to 1024 MiB", size)
			}
			c, err := newClient(cmd)
			if err != nil {
				return err
			}
			query, err := captureOf(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			if all {
				query.Set("frames", "all")
			}
			query.Set("duration", duration.String())
			query.Set("size", strconv.Itoa(size))
			if path == "" {
				path = captureName(args[0], time.Now())
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			return captureInto(ctx, cmd, c, query, path, duration)
		},
	}
	cmd.Flags().Bool("json", false, "print JSON: the file and its number of frames; with -w - on standard error")
	cmd.Flags().BoolVar(&all, "all", false, "record user data, too, not only control frames")
	cmd.Flags().DurationVar(&duration, "for", 10*time.Minute, "end after this `TIME`, at most 1h")
	cmd.Flags().IntVar(&size, "size", 16, "end at this size in `MIB`")
	cmd.Flags().StringVarP(&path, "write", "w", "", "write to `FILE`, which must not exist; - is standard output (default: a name with the time)")
	return cmd
}

// captureView is the result of a capture.
type captureView struct {
	File   string `json:"file"`
	Frames int    `json:"frames"`
}

// captureOf finds out whether a name is an address, the id of a connection, or a user.
func captureOf(ctx context.Context, c *client.Client, which string) (url.Values, error) {
	if _, err := netip.ParseAddr(which); err == nil {
		return url.Values{"peer": {which}}, nil
	}
	list, err := c.Connections(ctx)
	if err != nil {
		return nil, err
	}
	for _, conn := range list {
		if conn.ID == which {
			return url.Values{"connection": {which}}, nil
		}
	}
	if known, err := c.HasUser(ctx, which); err != nil || !known {
		if err != nil {
			return nil, err
		}
		return nil, &exitError{statusNotFound, fmt.Errorf("%q is neither an address, nor the id of a connection, nor a user", which)}
	}
	return url.Values{"user": {which}}, nil
}

// captureName makes the name of a file.
func captureName(of string, at time.Time) string {
	safe := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' || r == '_' {
			return r
		}
		return '_'
	}, of)
	return strings.TrimLeft(safe, ".-") + at.Format("-20060102-150405") + ".pcapng"
}

func captureInto(ctx context.Context, cmd *cobra.Command, c *client.Client, query url.Values, path string, duration time.Duration) error {
	out := cmd.OutOrStdout()
	done := func() error { return nil }
	if path != "-" {
		f, err := os.OpenFile(filepath.Clean(path), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		out, done = f, f.Close
	}
	begun := false
	frames, err := c.Capture(ctx, query, out, func() {
		begun = true
		_ = say(cmd, "capturing for %v, until Ctrl-C", duration)
	})
	if err = errors.Join(err, done()); err != nil {
		if !begun && path != "-" {
			_ = os.Remove(path) // it is empty
		}
		return err
	}
	if path != "-" {
		return tellOr(cmd, captureView{path, frames}, "%d frames in %s", frames, path)
	}
	if asJSON(cmd) {
		// The capture itself goes to standard output.
		return json.NewEncoder(cmd.ErrOrStderr()).Encode(captureView{path, frames})
	}
	return say(cmd, "%d frames in standard output", frames)
}
