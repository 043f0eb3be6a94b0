package preflight

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"vpnd/internal/amount"
	"vpnd/internal/config"
	"vpnd/internal/fault"
	"vpnd/internal/state/sqlite"

	"golang.org/x/sys/unix"
)

// stateFolder checks the user table.
func stateFolder(cfg config.Config, table *sqlite.Store, err error) Finding {
	f := Finding{What: "user table in " + cfg.StateDir, Fatal: true}
	missing := errors.Is(err, sqlite.ErrNoTable) || errors.Is(err, unix.ENOTDIR)
	if err == nil || missing {
		if err := canMake(cfg.StateDir); err != nil {
			return f.because(err, "correct state_dir")
		}
	}
	if missing {
		return Finding{What: f.What, Wrong: "does not exist yet", Fix: "the daemon creates it; `vpnd user add` adds a user"}
	}
	if err != nil {
		return f.because(pathFault(cfg.StateDir, err), tableFix)
	}
	f = users(context.Background(), table, cfg)
	if found, current := table.Versions(); found != current {
		f.What += fmt.Sprintf(" (version %d; the daemon converts it to version %d when it starts; older versions of vpnd cannot read that: back it up first)", found, current)
	}
	return f
}

// users checks whether the users of a table can get in.
func users(ctx context.Context, table Users, cfg config.Config) Finding {
	f := Finding{What: "user table in " + cfg.StateDir, Fatal: true}
	profiles, damaged, err := table.Sound(ctx)
	if err != nil {
		return f.because(err, tableFix)
	}
	var outside []netip.Addr
	var poolless []string
	pools := cfg.Network.AllPools()
	for _, p := range profiles {
		if _, ok := pools[p.Pool]; !ok {
			poolless = append(poolless, p.Name+" ("+p.Pool+")")
		}
		if p.Address.IsValid() && !cfg.Network.InPool(p.Address) {
			outside = append(outside, p.Address)
		}
	}
	switch {
	case len(damaged) > 0:
		return Finding{What: f.What, Wrong: "vpnd refuses users whose rows are damaged: " + amount.Names(slices.Sorted(maps.Keys(damaged))), Fix: "remove them and add them again"}
	case len(profiles) == 0:
		return Finding{What: f.What, Wrong: "there is no user", Fix: "`vpnd user add` adds one"}
	case len(outside) > 0:
		return Finding{What: f.What, Wrong: fmt.Sprintf("fixed addresses outside the pool: %v", outside), Fix: "correct them or network.pool"}
	case len(poolless) > 0:
		return Finding{What: f.What, Wrong: "users name pools that do not exist: " + amount.Names(poolless), Fix: "give them another pool, or add the pools to network.pools"}
	}
	return f
}

func there(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// tableFix is the fix for a user table that cannot be read for an unknown cause.
const tableFix = "restore a backup"

// canMake reports why a folder, or the first existing one above it, cannot be written to.
func canMake(dir string) error {
	for !there(dir) {
		dir = filepath.Dir(dir)
	}
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		return fault.New(dir+" is not a folder", "move it away, or set state_dir to a folder")
	}
	return pathFault(dir, unix.Access(dir, unix.W_OK))
}
