package main

import (
	"fmt"
	"net/netip"
	"vpnd/internal/config"
	"vpnd/usermgmt"

	"github.com/spf13/cobra"
)

// loadConfig reads the configuration that --config names, or the default one.
func loadConfig(cmd *cobra.Command) (config.Config, error) {
	path, err := cmd.Flags().GetString("config")
	if err != nil {
		return config.Config{}, err
	}
	if path == "" && cmd.Flags().Changed("config") {
		return config.Config{}, usagef(cmd, "--config names no file")
	}
	return config.Load(path)
}

// openUsers opens the user table of the configuration.
func openUsers(cmd *cobra.Command) (*usermgmt.Store, error) {
	cfg, err := loadConfig(cmd)
	if err != nil {
		return nil, err
	}
	cmd.SetContext(usermgmt.By(cmd.Context(), who()))
	return usermgmt.Open(cmd.Context(), cfg.StateDir, usermgmt.Options{CheckAddress: addressCheck(cfg.Network)})
}

// addressCheck wants fixed addresses of users inside the pool.
func addressCheck(n config.Network) func(netip.Addr) error {
	return func(a netip.Addr) error {
		if n.InPool(a) {
			return nil
		}
		return fmt.Errorf("%s is outside the pool %s", a, words(n.Addresses()))
	}
}
