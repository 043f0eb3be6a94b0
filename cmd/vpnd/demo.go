package main

import (
	"errors"
	"os"
	"os/signal"
	"syscall"
	"vpnd/internal/demo"

	"github.com/spf13/cobra"
)

func newDemoCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Show a server and two clients on this machine, in less than a minute",
		Long: "Runs, in network namespaces of its own, a server and two clients that dial in by PPTP and L2TP with one-time\n" +
			"passwords; shows the connections, a transfer, and how a password that was used is refused. Needs root, and\n" +
			"leaves nothing behind.",
		Args: named(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if os.Geteuid() != 0 {
				return errors.New("network namespaces take root: sudo vpnd demo")
			}
			binary, err := os.Executable()
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return demo.Run(ctx, binary, cmd.OutOrStdout())
		},
	}
}
