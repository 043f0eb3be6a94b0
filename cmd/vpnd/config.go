package main

import (
	"net/netip"
	"vpnd/internal/config"
	"vpnd/internal/state"
	"vpnd/internal/state/sqlite"

	"github.com/spf13/cobra"
)

// loadConfig reads the configuration that --config names, or the default one.
func loadConfig(cmd *cobra.Command) (config.Config, error) {
	path, err := cmd.Flags().GetString("config")
	if err != nil {
		return config.Config{}, err
	}
	if path == "" && cmd.Flags().Changed("config") {
		return config.Config{}, usagef(cmd, "--config has no value: give the path of the file")
	}
	return config.Load(path)
}

// openUsers opens the user table of the configuration.
func openUsers(cmd *cobra.Command) (*sqlite.Store, error) {
	cfg, err := loadConfig(cmd)
	if err != nil {
		return nil, err
	}
	cmd.SetContext(state.By(cmd.Context(), who()))
	n := cfg.Network
	users, err := sqlite.Open(cmd.Context(), cfg.StateDir, state.Options{
		CheckAddress: func(a netip.Addr) error { return n.CheckAddress(a) }, CheckPool: func(name string) error { return n.CheckPool(name) },
	})
	if err != nil {
		return nil, err
	}
	// Settings at run time override the file. If they cannot be read, the daemon says so at its
	// start.
	if set, err := users.Settings(cmd.Context()); err == nil {
		if laid, err := cfg.With(set); err == nil {
			n = laid.Network
		}
	}
	return users, nil
}
