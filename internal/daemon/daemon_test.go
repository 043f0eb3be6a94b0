package daemon

import (
	"log/slog"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"vpnd/internal/config"
	"vpnd/internal/resolvconf"
)

func parse(t *testing.T, text string) config.Range {
	t.Helper()
	for i := range text {
		if text[i] == '-' {
			return config.Range{First: netip.MustParseAddr(text[:i]), Last: netip.MustParseAddr(text[i+1:])}
		}
	}
	t.Fatal(text)
	return config.Range{}
}

// The sessions have room for all calls without a user that both carriers accept from an address.
func TestSessionsOfBothCarriers(t *testing.T) {
	cfg := config.Default()
	cfg.Limits.UnauthenticatedPerAddress = 700
	d := &daemon{cfg: cfg, clock: newClock(cfg, slog.New(slog.DiscardHandler))}
	if n := d.sessionConfig(nil).MaxPending; n != 1400 {
		t.Errorf("%d sessions of an address may be without a user", n)
	}
}

func TestNeedRestart(t *testing.T) {
	old := config.Default()
	if got := needRestart(old, old); got != nil {
		t.Errorf("nothing has changed, but %q", got)
	}
	now := config.Default()
	now.Services.L2TP = false
	now.Log.Level, now.PPP.MPPE, now.Network.PoolChange, now.History.Entries = "debug", "required", "drop", 5
	now.Network.Pools = map[string]config.Pool{"staff": {}}
	now.Time.Servers = []string{"ntp.example.net"}
	if got := needRestart(old, now); got != nil {
		t.Errorf("a reload takes all that has changed, but %q", got)
	}
	if got := live(old, now); !reflect.DeepEqual(got, now) {
		t.Errorf("got %+v, want %+v", got, now)
	}
	now.PPP.MRU, now.Network.Masquerade, now.Listen = 1000, "eth0", nil
	if got := needRestart(old, now); !slices.Equal(got, []string{"listen", "ppp", "network"}) {
		t.Errorf("%q", got)
	}
	if got := live(old, now); got.PPP.MRU != 1400 || got.Network.Masquerade != "" {
		t.Errorf("%+v", got)
	}
}

// Values that print the same are still compared as different.
func TestNeedRestartComparesValues(t *testing.T) {
	old, now := config.Default(), config.Default()
	old.Hooks.Up, now.Hooks.Up = []string{"/bin/hook", "a b"}, []string{"/bin/hook", "a", "b"}
	if got := needRestart(old, now); !slices.Equal(got, []string{"hooks"}) {
		t.Errorf("%q", got)
	}
	now.Hooks.Up = []string{"/bin/hook", "a b"}
	if got := needRestart(old, now); got != nil {
		t.Errorf("nothing has changed, but %q", got)
	}
	old.Management.Certificate, old.Management.Key = "/a b", "/c"
	now.Management.Certificate, now.Management.Key = "/a", "b /c"
	if got := needRestart(old, now); !slices.Equal(got, []string{"management"}) {
		t.Errorf("%q", got)
	}
}

// No change of a configuration key goes unnoticed: a reload applies it, or says that it needs a
// restart.
func TestReloadNoticesEachKey(t *testing.T) {
	old := config.Default()
	var now config.Config
	var walk func(path string, v reflect.Value)
	walk = func(path string, v reflect.Value) {
		if v.Kind() == reflect.Struct && v.Type() != reflect.TypeFor[netip.Addr]() {
			for i := range v.NumField() {
				walk(path+"."+v.Type().Field(i).Name, v.Field(i))
			}
			return
		}
		before := reflect.ValueOf(v.Interface())
		change(t, path, v)
		if left := needRestart(old, now); left == nil && !reflect.DeepEqual(live(old, now), now) {
			t.Errorf("a reload neither takes %s nor says that it needs a restart", path)
		}
		v.Set(before)
	}
	now = config.Default()
	walk("Config", reflect.ValueOf(&now).Elem())
}

// change gives v another value.
func change(t *testing.T, path string, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int, reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Struct:
		v.Set(reflect.ValueOf(netip.MustParseAddr("192.0.2.1")))
	case reflect.Slice:
		longer := reflect.MakeSlice(v.Type(), v.Len()+1, v.Len()+1)
		if one := longer.Index(v.Len()); one.Kind() == reflect.String {
			one.SetString("x")
		}
		v.Set(longer)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.Zero(v.Type().Key()), reflect.Zero(v.Type().Elem()))
	default:
		t.Fatalf("%s is a %v", path, v.Kind())
	}
}

// A reload replaces the changed pools, and keeps the others with their addresses in use.
func TestMakePools(t *testing.T) {
	old := config.Default().Network
	old.Pools = map[string]config.Pool{"staff": {Addresses: []config.Range{parse(t, "10.98.0.1-10.98.0.14")}}}
	before, err := makePools(old, config.Network{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	now := old
	now.DNS = []netip.Addr{netip.MustParseAddr("192.0.2.53")}
	now.Pools = map[string]config.Pool{"staff": {Addresses: []config.Range{parse(t, "10.98.0.1-10.98.0.30")}}, "guests": {Addresses: []config.Range{parse(t, "10.97.0.1-10.97.0.1")}}}
	after, err := makePools(now, old, before)
	if err != nil {
		t.Fatal(err)
	}
	if len(after) != 3 || after[""].Addresses != before[""].Addresses || after["staff"].Addresses == before["staff"].Addresses {
		t.Errorf("%v, before %v", after, before)
	}
	if !slices.Equal(after[""].DNS, now.DNS) || after["staff"].Addresses.Size() != 30 {
		t.Errorf("%+v", after)
	}
}

// Users are told the host's DNS servers if the configuration sets none.
func TestHostServers(t *testing.T) {
	n := config.Default().Network
	n.Masquerade = "br0"
	pools, err := makePools(n, config.Network{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := resolvconf.ForUsers(n, nil); !slices.Equal(pools[""].DNS, want) {
		t.Errorf("got %v, want %v", pools[""].DNS, want)
	}
}
