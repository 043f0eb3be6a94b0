package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"vpnd/internal/state"
	"vpnd/mgmt"
	"vpnd/usermgmt"

	"github.com/spf13/cobra"
)

// userStates are the values of --status of `vpnd user list`.
var userStates = map[string]func(userView) bool{
	"damaged":   func(v userView) bool { return v.Damaged != "" },
	"enabled":   func(v userView) bool { return v.Enabled && v.Damaged == "" },
	"disabled":  func(v userView) bool { return !v.Enabled && v.Damaged == "" },
	"expired":   userView.expired,
	"locked":    userView.locked,
	"connected": func(v userView) bool { return len(v.Connections) > 0 },
}

// userOrders are the values of --sort of `vpnd user list`.
var userOrders = map[string]func(a, b userView) int{
	"index":  func(a, b userView) int { return cmp.Compare(a.Index, b.Index) },
	"name":   func(a, b userView) int { return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) },
	"status": func(a, b userView) int { return strings.Compare(a.standing(), b.standing()) },
}

// userFilter are the flags of `vpnd user list`.
type userFilter struct {
	status, group, order string
}

func newUserListCommand() *cobra.Command {
	var f userFilter
	cmd := &cobra.Command{
		Use: "list [TEXT]", Short: "List the users and their connections", Args: atMost(1), ValidArgsFunction: cobra.NoFileCompletions,
		Long: "List the users and their connections. With TEXT, list only users whose name or comment contains it; case does not matter.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(cmd); err != nil {
				return err
			}
			text := strings.ToLower(strings.Join(args, ""))
			return withUsers(cmd, func(users state.Store) error {
				views, err := listUsers(cmd, users)
				if err != nil {
					return err
				}
				all := len(views)
				views = slices.DeleteFunc(views, func(v userView) bool { return !f.fits(v, text) })
				slices.SortStableFunc(views, userOrders[f.order])
				if asJSON(cmd) {
					return printJSON(cmd, views)
				}
				return f.print(cmd, views, all)
			})
		},
	}
	cmd.Flags().StringVar(&f.status, "status", "", "only users that are `STATUS`: "+strings.Join(keys(userStates), ", "))
	cmd.Flags().StringVar(&f.group, "group", "", "only users of the group `NAME`")
	cmd.Flags().StringVar(&f.order, "sort", "index", "sort by `COLUMN`: "+strings.Join(keys(userOrders), ", "))
	completeFlag(cmd, "status", cobra.FixedCompletions(keys(userStates), cobra.ShellCompDirectiveNoFileComp))
	completeFlag(cmd, "sort", cobra.FixedCompletions(keys(userOrders), cobra.ShellCompDirectiveNoFileComp))
	completeFlag(cmd, "group", cobra.NoFileCompletions)
	return cmd
}

func (f *userFilter) check(cmd *cobra.Command) error {
	if f.status != "" && userStates[f.status] == nil {
		return usagef(cmd, "--status %q: use one of %s", f.status, strings.Join(keys(userStates), ", "))
	}
	if userOrders[f.order] == nil {
		return usagef(cmd, "--sort %q: use one of %s", f.order, strings.Join(keys(userOrders), ", "))
	}
	return nil
}

func (f *userFilter) fits(v userView, text string) bool {
	return (f.status == "" || userStates[f.status](v)) && (f.group == "" || strings.EqualFold(v.Group, f.group)) &&
		(strings.Contains(strings.ToLower(v.Name), text) || strings.Contains(strings.ToLower(v.Comment), text))
}

// print prints the users that pass the filter. All is the number of all users.
func (f *userFilter) print(cmd *cobra.Command, views []userView, all int) error {
	switch {
	case all == 0:
		return say(cmd, "there is no user yet; 'vpnd user add' and 'vpnd user motp' add one")
	case len(views) == 0:
		return say(cmd, "none of the %s matches", count(all, "user"))
	}
	rows := make([][]string, len(views))
	for i, v := range views {
		index := "-"
		if v.Index > 0 {
			index = strconv.Itoa(v.Index)
		}
		rows[i] = []string{index, v.Name, v.standing(), orDash(strings.Join(v.DialIn, ",")), v.Comment}
	}
	out := cmd.OutOrStdout()
	if err := printTable(out, terminalWidth(out), []string{"INDEX", "USER", "STATUS", "TYPES", "COMMENT"}, rows); err != nil {
		return err
	}
	for _, v := range views {
		if v.Damaged == "" {
			continue
		}
		if err := say(cmd, "%s", v.Damaged); err != nil {
			return err
		}
	}
	if len(views) < all {
		_, err := fmt.Fprintf(cmd.ErrOrStderr(), "%d of %s\n", len(views), count(all, "user"))
		return err
	}
	return nil
}

// keys are the names in a set of choices, in order.
func keys[T any](choices map[string]T) []string {
	names := make([]string, 0, len(choices))
	for name := range choices {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// listUsers gives the users in the order of their names. A damaged user has only the name.
func listUsers(cmd *cobra.Command, users state.Store) ([]userView, error) {
	stored, err := mgmt.ReadUsers(cmd.Context(), users)
	if err != nil {
		return nil, err
	}
	up, err := users.Connected(cmd.Context())
	if err != nil {
		return nil, err
	}
	now := time.Now()
	records, err := users.Records(cmd.Context(), usermgmt.Month(now))
	if err != nil {
		return nil, err
	}
	views := make([]userView, len(stored))
	for i, u := range stored {
		views[i] = viewOf(u.Profile, u.Record(records.Of(u.Name)), up[u.Name], now)
	}
	return views, nil
}
