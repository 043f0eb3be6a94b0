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
		Long: "Runs a server and two clients in their own network namespaces. The clients dial in by PPTP and L2TP with one-time\n" +
			"passwords. The demo shows the connections, a transfer, and how vpnd refuses a used password. It needs root and\n" +
			"leaves nothing behind.",
		Args: named(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if os.Geteuid() != 0 {
				return errors.New("network namespaces need root: run sudo vpnd demo")
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
