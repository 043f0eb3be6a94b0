package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"vpnd/internal/amount"
	"vpnd/internal/state"
	"vpnd/mgmt"

	"github.com/spf13/cobra"
)

const historyHelp = `Show log-ins, refusals and hang-ups with their reasons, and changes of users with their author and fields, newest
first. history.age and history.entries limit the history. It never contains secrets.`

func newUserHistoryCommand() *cobra.Command {
	var since string
	var limit int
	cmd := &cobra.Command{
		Use: "history [NAME]", Short: "Show log-ins, refusals, hang-ups and changes of users", Long: historyHelp, ValidArgsFunction: oneUser,
		Args: atMostOne,
		RunE: func(cmd *cobra.Command, args []string) error {
			q := state.HistoryQuery{Limit: limit}
			if len(args) == 1 {
				q.User = args[0]
			}
			if since != "" {
				var ok bool
				if q.Since, ok = parseSince(since, time.Now()); !ok {
					return usagef(cmd, "--since %q: use a duration such as 24h or 7d, a date such as 2026-11-24, or a time such as 2026-11-24T18:00:00Z", since)
				}
			}
			if limit < 0 {
				return usagef(cmd, "--limit %d: give a number of at least 0 (0: all)", limit)
			}
			return withUsers(cmd, func(users state.Store) error {
				entries, err := users.History(cmd.Context(), q)
				if err != nil {
					return err
				}
				if len(entries) == 0 && q.User != "" {
					// A removed user also has a history, but a name that never existed has none.
					if _, err := users.Get(cmd.Context(), q.User); err != nil {
						return err
					}
				}
				return printHistory(cmd, entries, limit)
			})
		},
	}
	cmd.Flags().StringVar(&since, "since", "", "show entries since `TIME`: 24h or 7d (ago), 2026-11-24, or 2026-11-24T18:00:00Z")
	cmd.Flags().IntVar(&limit, "limit", 100, "show the newest `NUMBER` of entries; 0: all")
	completeFlag(cmd, "since", cobra.NoFileCompletions)
	return cmd
}

// parseSince takes a time span before now, a date of the local time zone, or a time.
func parseSince(s string, now time.Time) (time.Time, bool) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 {
			return now.AddDate(0, 0, -n), true
		}
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return now.Add(-d), true
	}
	if t, err := time.ParseInLocation(time.DateOnly, s, time.Local); err == nil {
		return t, true
	}
	t, err := time.Parse(time.RFC3339, s)
	return t, err == nil
}

func printHistory(cmd *cobra.Command, entries []state.Entry, limit int) error {
	if asJSON(cmd) {
		events := make([]mgmt.Event, len(entries))
		for i, e := range entries {
			events[i] = mgmt.EventOf(e)
			events[i].ID = 0 // it is for paging through the API
		}
		return printJSON(cmd, events)
	}
	if len(entries) == 0 {
		return say(cmd, "no entries in the history")
	}
	rows := make([][]string, len(entries))
	for i, e := range entries {
		rows[i] = []string{e.At.Local().Format(time.DateTime), orDash(e.User), e.Event, orDash(addressText(e.Peer)), details(e)}
	}
	out := cmd.OutOrStdout()
	if err := printTable(out, terminalWidth(out), []string{"TIME", "USER", "EVENT", "FROM", "DETAILS"}, rows); err != nil {
		return err
	}
	if len(entries) == limit {
		return say(cmd, "these are the newest %d; --limit 0 shows all", limit)
	}
	return nil
}

// details is the text of an entry after its event.
func details(e state.Entry) string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	switch e.Event {
	case state.EventConnected:
		add("%s, address %s", e.Type, addressText(e.Address))
		add("%s, encryption %s", e.Auth, e.Encryption)
	case state.EventDisconnected:
		add("%s", e.Text())
		add("%s, %v, %s from the user, %s to the user", e.Type, e.Duration, amount.Bytes(e.Rx), amount.Bytes(e.Tx))
	default:
		for _, text := range []string{e.Type, e.Text()} {
			if text != "" {
				add("%s", text)
			}
		}
		if e.By != "" {
			add("by %s", e.By)
		}
	}
	return strings.Join(parts, "; ")
}

// atMostOne allows one name.
func atMostOne(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return usagef(cmd, "too many arguments")
	}
	return nil
}
