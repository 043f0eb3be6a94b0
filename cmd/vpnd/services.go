package main

import (
	"fmt"
	"strings"
	"vpnd/mgmt"

	"github.com/spf13/cobra"
)

const servicesHelp = `Shows which VPN services are on (Remote Access Control), and turns them on and off while the daemon runs.
A service that is off accepts no new calls. Its open calls stay, unless --drop is given. A change takes effect
immediately and persists: it overrides the configuration file until you set it back to the file's value.`

func newServicesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "services", Short: "Show VPN services, and turn them on and off (Remote Access Control)", Long: servicesHelp,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := newClient(cmd)
			if err != nil {
				return err
			}
			s, err := c.Services(cmd.Context())
			if err != nil {
				return err
			}
			return printServices(cmd, s)
		},
	}
	cmd.PersistentFlags().Bool("json", false, "print JSON")
	on, off := newTurnCommand("on", "Turn a service on", true), newTurnCommand("off", "Turn a service off", false)
	off.Flags().Bool("drop", false, "also hang up its connections")
	cmd.AddCommand(on, off)
	return cmd
}

func newTurnCommand(use, short string, to bool) *cobra.Command {
	return &cobra.Command{
		Use: use + " pptp|l2tp", Short: short, Args: named("pptp or l2tp"), ValidArgs: []string{"pptp", "l2tp"},
		RunE: func(cmd *cobra.Command, args []string) error {
			var change mgmt.ServiceChange
			switch strings.ToLower(args[0]) {
			case "pptp":
				change.PPTP = &to
			case "l2tp":
				change.L2TP = &to
			default:
				return usagef(cmd, "%q is not a service: use pptp or l2tp", args[0])
			}
			if !to {
				drop, err := cmd.Flags().GetBool("drop")
				if err != nil {
					return err
				}
				change.Drop = drop
			}
			c, err := newClient(cmd)
			if err != nil {
				return err
			}
			before, err := c.Services(cmd.Context())
			if err != nil {
				return err
			}
			after, err := c.ChangeServices(cmd.Context(), change)
			if err != nil {
				return err
			}
			if asJSON(cmd) {
				return printJSON(cmd, struct {
					mgmt.ServiceView
					Changed bool `json:"changed"`
				}{after, after.ServiceSet != before.ServiceSet})
			}
			return printServices(cmd, after)
		},
	}
}

func printServices(cmd *cobra.Command, s mgmt.ServiceView) error {
	if asJSON(cmd) {
		return printJSON(cmd, s)
	}
	for _, service := range []struct {
		name, key string
		on        bool
	}{{"PPTP", "services.pptp", s.PPTP}, {"L2TP", "services.l2tp", s.L2TP}} {
		text := service.name + "  off"
		if service.on {
			text = service.name + "  on"
		}
		for _, key := range s.Overridden {
			if key == service.key {
				text += "  (overrides " + key + " in the configuration file)"
			}
		}
		if _, err := fmt.Fprintln(cmd.OutOrStdout(), printable(text)); err != nil {
			return err
		}
	}
	return nil
}
