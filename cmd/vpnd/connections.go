package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
	"vpnd/internal/amount"
	"vpnd/mgmt"
	"vpnd/mgmt/client"

	"github.com/spf13/cobra"
)

// watchEvery is how often --watch asks, as a Vigor's page does at its fastest.
const watchEvery = 2 * time.Second

// newClient makes a client for the daemon of the configuration.
func newClient(cmd *cobra.Command) (*client.Client, error) {
	cfg, err := loadConfig(cmd)
	if err != nil {
		return nil, err
	}
	if cfg.Management.Socket == "" {
		return nil, errors.New("management.socket is empty in the configuration: commands cannot reach the daemon; set it and restart the daemon")
	}
	return client.New(cfg.Management.Socket), nil
}

func newConnectionsCommand() *cobra.Command {
	var watch bool
	cmd := &cobra.Command{
		Use: "connections", Short: "Show the open connections (Connection Management)", Args: named(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := newClient(cmd)
			if err != nil {
				return err
			}
			if !watch {
				return showConnections(cmd.Context(), cmd, c, printJSON)
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			return watchConnections(ctx, cmd, c)
		},
	}
	cmd.Flags().Bool("json", false, "print JSON")
	cmd.Flags().BoolVar(&watch, "watch", false, "refresh every two seconds, until Ctrl-C; with --json one document per line")
	return cmd
}

func watchConnections(ctx context.Context, cmd *cobra.Command, c *client.Client) error {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		if !asJSON(cmd) {
			// Move to the upper left and clear the screen from there, so that it does not scroll.
			if _, err := io.WriteString(cmd.OutOrStdout(), "\x1b[H\x1b[J"); err != nil {
				return err
			}
		}
		if err := showConnections(ctx, cmd, c, printLine); err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func showConnections(ctx context.Context, cmd *cobra.Command, c *client.Client, document func(*cobra.Command, any) error) error {
	list, err := c.Connections(ctx)
	if err != nil {
		return err
	}
	if asJSON(cmd) {
		return document(cmd, list)
	}
	return printConnections(cmd.OutOrStdout(), list)
}

// printConnections prints the columns of a Vigor's page.
func printConnections(out io.Writer, list []mgmt.Connection) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(out, "nobody is connected")
		return err
	}
	rows := make([][]string, len(list))
	for i, c := range list {
		rows[i] = []string{
			c.User, c.Type + ", " + encryption(c), c.RemoteIP.String(), c.VirtualIP.String(), strconv.FormatUint(c.TxPackets, 10), amount.Rate(c.TxRate),
			strconv.FormatUint(c.RxPackets, 10), amount.Rate(c.RxRate), amount.Uptime(c.Uptime), c.ID,
		}
	}
	header := []string{"VPN", "TYPE", "REMOTE IP", "VIRTUAL IP", "TX PKTS", "TX RATE", "RX PKTS", "RX RATE", "UPTIME", "ID"}
	return printTable(out, terminalWidth(out), header, rows)
}

func encryption(c mgmt.Connection) string {
	if c.Encryption == "none" {
		return "not encrypted"
	}
	return c.Encryption
}

func newDropCommand() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "drop ID|USER", Short: "Hang up a connection, or all connections of a user", Args: named("ID or USER"), ValidArgsFunction: connectionNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := newClient(cmd)
			if err != nil {
				return err
			}
			list, err := c.Connections(cmd.Context())
			if err != nil {
				return err
			}
			dropped := []mgmt.Connection{}
			for _, conn := range list {
				if conn.ID != args[0] && !strings.EqualFold(conn.User, args[0]) {
					continue
				}
				if err := c.Drop(cmd.Context(), conn.ID, reason); err != nil {
					return err
				}
				dropped = append(dropped, conn)
				if asJSON(cmd) {
					continue
				}
				if err := say(cmd, "dropped %s of user %s, %s from %s", conn.ID, conn.User, conn.Type, conn.RemoteIP); err != nil {
					return err
				}
			}
			if len(dropped) == 0 {
				return &exitError{statusNotFound, fmt.Errorf("%q is neither the id nor the user of a connection: 'vpnd connections' lists them", args[0])}
			}
			if asJSON(cmd) {
				return printJSON(cmd, dropped)
			}
			return nil
		},
	}
	cmd.Flags().Bool("json", false, "print JSON: the connections that were dropped")
	cmd.Flags().StringVar(&reason, "reason", "dropped by the administrator", "`TEXT` for the log and the client")
	return cmd
}

func newEventsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "events", Short: "Show connections and refusals as they happen, until Ctrl-C", Args: named(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := newClient(cmd)
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			return c.Events(ctx, func(e mgmt.Event) error {
				if asJSON(cmd) {
					return printLine(cmd, e)
				}
				_, err := fmt.Fprintln(cmd.OutOrStdout(), eventLine(e))
				return err
			})
		},
	}
	cmd.Flags().Bool("json", false, "print JSON, one event per line")
	return cmd
}

func eventLine(e mgmt.Event) string {
	line := fmt.Sprintln(e.At.Local().Format(time.DateTime), e.Event, e.User, e.Type, e.RemoteIP, e.VirtualIP, e.Reason)
	return printable(strings.TrimSuffix(line, "\n"))
}
