package main

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
	"vpnd/internal/config"
	"vpnd/internal/daemon"

	"github.com/spf13/cobra"
)

func newServeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Run the daemon in the foreground",
		Long: "Runs the daemon in the foreground. It prints the line \"ready\" when it accepts calls. SIGTERM hangs\n" +
			"up all calls and ends the daemon. SIGHUP reads the configuration file again.",
		Args: named(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, os.Interrupt)
			defer stop()
			hangups := make(chan os.Signal, 1)
			signal.Notify(hangups, syscall.SIGHUP)
			defer signal.Stop(hangups)
			reload := make(chan struct{})
			go func() {
				for range hangups {
					select {
					case reload <- struct{}{}:
					case <-ctx.Done():
						return
					}
				}
			}()
			return daemon.Run(ctx, cfg, daemon.Options{
				Log:    cmd.ErrOrStderr(),
				Reload: reload,
				Load:   func() (config.Config, error) { return loadConfig(cmd) },
				Ready: func() {
					_, _ = fmt.Fprintln(cmd.OutOrStdout(), "ready")
					notifySystemd("READY=1")
				},
			})
		},
	}
}

// notifySystemd tells the service manager, if there is one (sd_notify(3)).
func notifySystemd(state string) {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	_, _ = conn.Write([]byte(state))
}
