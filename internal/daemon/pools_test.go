package daemon

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"vpnd/internal/config"
	"vpnd/internal/state"
	"vpnd/internal/state/sqlite"
	"vpnd/mgmt"
	mgmtclient "vpnd/mgmt/client"
	"vpnd/ppp"
	"vpnd/testenv"
	"vpnd/usermgmt"
)

// noServers is what the metrics say when no time server is configured.
const noServers = `vpnd_clock_state{state="no servers configured"} 1`

func pool(start string, count int) mgmt.AddressPool {
	return mgmt.AddressPool{Ranges: []mgmt.PoolRange{{Start: netip.MustParseAddr(start), Count: count}}, DNS: []string{}, WINS: []string{}}
}

// inPool has alice dial in, and checks that she gets an address of the range.
func (f *field) inPool(ctx context.Context, first, last string) {
	f.t.Helper()
	c, err := f.dial(ctx, "L2TP", ppp.PAP)
	if err != nil {
		f.t.Error(err)
		return
	}
	list, err := f.api.Connections(ctx)
	if err != nil || len(list) == 0 {
		f.t.Errorf("%v, %v", list, err)
		return
	}
	r := config.Range{First: netip.MustParseAddr(first), Last: netip.MustParseAddr(last)}
	if !r.Contains(list[len(list)-1].VirtualIP) {
		f.t.Errorf("alice got %v, want one of %v", list[len(list)-1].VirtualIP, r)
	}
	f.pass(c)
}

// problem checks that err is a problem document with a status and a text.
func problem(t *testing.T, err error, status int, text string) {
	t.Helper()
	if p := (*mgmtclient.ProblemError)(nil); !errors.As(err, &p) || p.Status != status || !strings.Contains(err.Error(), text) {
		t.Errorf("%v, want status %d with %q", err, status, text)
	}
}

// New pools count for the next dial-in, and survive a restart. A pool that a user names cannot be
// removed.
func TestSetPools(t *testing.T) {
	inside(t, func(lab *testenv.Lab, cfg config.Config) error {
		f := newField(t, lab, cfg)
		err := f.run(func(ctx context.Context) error {
			before, err := f.api.Pools(ctx)
			if err != nil {
				return err
			}
			moved := pool("10.97.0.1", 20)
			after, err := f.api.ChangePools(ctx, mgmt.PoolsChange{Ranges: moved.Ranges, Pools: map[string]mgmt.AddressPool{"staff": pool("10.96.0.10", 5)}})
			if err != nil || !slices.Equal(after.Ranges, moved.Ranges) || !slices.Equal(after.DNS, before.DNS) || len(after.Pools) != 1 {
				t.Errorf("%+v, %v", after, err)
			}
			f.inPool(ctx, "10.97.0.1", "10.97.0.20")
			if err := update(ctx, cfg, func(p *usermgmt.Profile) { p.Pool = "staff" }); err != nil {
				return err
			}
			f.inPool(ctx, "10.96.0.10", "10.96.0.14")
			_, err = f.api.ChangePools(ctx, mgmt.PoolsChange{Pools: map[string]mgmt.AddressPool{"guests": pool("10.95.0.10", 5)}})
			problem(t, err, http.StatusConflict, "users still use pools that the change removes: alice (staff)")
			_, err = f.api.ChangePools(ctx, mgmt.PoolsChange{
				Ranges: pool("10.96.0.1", 100).Ranges, DNS: []string{"dns"}, Pools: map[string]mgmt.AddressPool{"a.b": pool("127.0.0.1", 5), "staff": {}},
			})
			for _, want := range []string{`dns: "dns" is not an IPv4 address`, "pools.a.b.ranges: 127.0.0.1-127.0.0.5 contains addresses", "pools.staff.ranges: is empty"} {
				problem(t, err, http.StatusUnprocessableEntity, want)
			}
			f.inPool(ctx, "10.96.0.10", "10.96.0.14")
			return nil
		})
		if err != nil {
			return err
		}
		return f.run(func(ctx context.Context) error {
			if v, err := f.api.Pools(ctx); err != nil || !slices.Equal(v.Overridden, []string{"network.pool", "network.pools"}) {
				t.Errorf("after a restart: %+v, %v", v, err)
			}
			f.inPool(ctx, "10.96.0.10", "10.96.0.14")
			return nil
		})
	})
}

// update changes alice as a command does.
func update(ctx context.Context, cfg config.Config, change func(*usermgmt.Profile)) error {
	store, err := sqlite.Open(ctx, cfg.StateDir, state.Options{})
	if err != nil {
		return err
	}
	err = store.Update(ctx, "alice", func(p *usermgmt.Profile) error {
		change(p)
		return nil
	})
	return errors.Join(err, store.Close())
}

// New time servers are asked, and survive a restart; a reload applies those of the file.
func TestSetTime(t *testing.T) {
	inside(t, func(lab *testenv.Lab, cfg config.Config) error {
		f := newField(t, lab, cfg)
		interval := "10m"
		err := f.run(func(ctx context.Context) error {
			set, err := f.api.ChangeTime(ctx, mgmt.TimeChange{Servers: []string{"127.0.0.1:9"}, Interval: &interval})
			if err != nil || !slices.Equal(set.Servers, []string{"127.0.0.1:9"}) || set.Interval != "10m0s" || set.MaxOffset != cfg.Time.MaxOffset.String() {
				t.Errorf("%+v, %v", set, err)
			}
			if text, err := scrape(ctx, cfg.Management.Socket); err != nil || strings.Contains(text, noServers) {
				t.Errorf("%v: no time servers in\n%s", err, text)
			}
			tooShort := "1s"
			_, err = f.api.ChangeTime(ctx, mgmt.TimeChange{Servers: []string{"a b"}, Interval: &tooShort})
			for _, want := range []string{`servers: "a b" is not a time server`, "interval: 1s is not between 1m0s and 24h0m0s"} {
				problem(t, err, http.StatusUnprocessableEntity, want)
			}
			return nil
		})
		if err != nil {
			return err
		}
		return f.run(func(ctx context.Context) error {
			if v, err := f.api.TimeSettings(ctx); err != nil || v.Interval != "10m0s" || !slices.Equal(v.Overridden, []string{"time.interval", "time.servers"}) {
				t.Errorf("after a restart: %+v, %v", v, err)
			}
			if _, err := f.api.ChangeTime(ctx, mgmt.TimeChange{Servers: []string{}}); err != nil {
				return err
			}
			f.cfg.Time.Servers = []string{"127.0.0.1:9"} // in the file, and nothing overrides it
			f.reload <- struct{}{}
			f.reload <- struct{}{} // the first reload is done
			if text, err := scrape(ctx, cfg.Management.Socket); err != nil || strings.Contains(text, noServers) {
				t.Errorf("%v: no time servers after a reload in\n%s", err, text)
			}
			return nil
		})
	})
}
