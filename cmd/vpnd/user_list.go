package main

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
	"vpnd/usermgmt"

	"github.com/spf13/cobra"
)

func newUserListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the users, and who is connected now", Args: named(), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withUsers(cmd, func(users *usermgmt.Store) error {
				views, err := listUsers(cmd, users)
				if err != nil {
					return err
				}
				if asJSON(cmd) {
					return printJSON(cmd, views)
				}
				if len(views) == 0 {
					return say(cmd, "there is no user yet; 'vpnd user add' and 'vpnd user motp' add one")
				}
				rows := make([][]string, len(views))
				for i, v := range views {
					rows[i] = []string{strconv.Itoa(v.Index), v.Name, v.Status, orDash(strings.Join(v.DialIn, ",")), v.Comment}
				}
				out := cmd.OutOrStdout()
				return printTable(out, terminalWidth(out), []string{"INDEX", "USER", "STATUS", "TYPES", "COMMENT"}, rows)
			})
		},
	}
}

// listUsers gives the users in the order of their indexes.
func listUsers(cmd *cobra.Command, users *usermgmt.Store) ([]userView, error) {
	profiles, err := users.List(cmd.Context())
	if err != nil {
		return nil, err
	}
	up, err := users.Connected(cmd.Context())
	if err != nil {
		return nil, err
	}
	now := time.Now()
	views := make([]userView, len(profiles))
	for i, p := range profiles {
		if views[i], err = viewOf(cmd.Context(), users, p, up[p.Name], now); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(views, func(a, b userView) int { return cmp.Compare(a.Index, b.Index) })
	return views, nil
}
