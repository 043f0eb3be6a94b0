package main

import "github.com/spf13/cobra"

// actionView is the result of a command for one user, administrator or token.
type actionView struct {
	Name    string `json:"name"`
	Action  string `json:"action"`  // such as removed
	Changed bool   `json:"changed"` // false: nothing had to change
}

// actionsOf are the same action on each of names. changed reports which of them it changed; nil:
// all.
func actionsOf(names []string, action string, changed func(i int) bool) []actionView {
	views := make([]actionView, len(names))
	for i, name := range names {
		views[i] = actionView{name, action, changed == nil || changed(i)}
	}
	return views
}

// tellActions reports the actions, or prints them with --json.
func tellActions(cmd *cobra.Command, views []actionView) error {
	if asJSON(cmd) {
		return printJSON(cmd, views)
	}
	for _, v := range views {
		text := v.Name + " " + v.Action
		if !v.Changed {
			text = v.Name + " is " + v.Action + " already"
		}
		if err := say(cmd, "%s", text); err != nil {
			return err
		}
	}
	return nil
}

// tellOr reports a result in a few words, or prints the document with --json.
func tellOr(cmd *cobra.Command, document any, format string, args ...any) error {
	if asJSON(cmd) {
		return printJSON(cmd, document)
	}
	return say(cmd, format, args...)
}

// changedView is the result of a command that makes one change.
type changedView struct {
	Changed bool `json:"changed"`
}

// tellAction reports the action on one name.
func tellAction(cmd *cobra.Command, name, action string) error {
	return tellActions(cmd, []actionView{{name, action, true}})
}
