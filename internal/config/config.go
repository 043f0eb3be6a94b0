// Package config reads the daemon's configuration: YAML with embedded defaults. It reports all
// faults at once, each with its line and column.
package config

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"
)

// DefaultPath is read when no file is named; it need not exist.
const DefaultPath = "/etc/vpnd/vpnd.yaml"

//go:generate go run ./configdoc default.yaml ../../docs/configuration.md

//go:embed default.yaml
var defaults []byte

// Config is the whole configuration.
type Config struct {
	StateDir   string       // folder of the user table and everything else that must persist
	Listen     []netip.Addr // outer IPv4 addresses; 0.0.0.0 is every one
	Services   Services
	PPP        PPP
	Network    Network
	L2TP       L2TP
	Limits     Limits
	MOTP       MOTP
	History    History
	Time       Time
	Management Management
	Hooks      Hooks
	Log        Log
}

// Services are the types of dial-in that the daemon serves.
type Services struct {
	PPTP, L2TP bool
}

// PPP is the PPP configuration for every client.
type PPP struct {
	Authentication []string      // "mschapv2", "mschap", "chap", "pap", in the order of offering
	MPPE           string        // "off", "optional", "required" or "maximum" (required, 128 bits)
	MPPEStateful   bool          // the server asks for stateful MPPE first
	MPPEKeyChanges int           // for lost packets, per second on each connection
	MRU            int           // bytes, 576 to 1500
	EchoInterval   time.Duration // 0: off
	EchoFailures   int           // unanswered echoes that end a connection; 0: off
	CHAPInterval   time.Duration // between CHAP requests, except for one-time passwords; 0: none
	MutualPAP      MutualPAP
}

// MutualPAP is the name and password with which the server authenticates itself, by PAP, to clients
// that ask for it; empty: it does not.
type MutualPAP struct {
	User, Password string // 1 to 255 bytes each
}

// Network is the configuration of the inner network.
type Network struct {
	Interface  string       // name of the TUN interface
	Address    netip.Addr   // the server's inner IPv4 address
	Pool       []Range      // addresses that clients get
	DNS        []netip.Addr // nil: not set
	WINS       []netip.Addr
	Pools      map[string]Pool // further pools, for users that name them
	PoolChange string          // "keep" or "drop": connections whose address a reload removes
	ProxyARP   string          // interface that answers ARP for dial-in addresses; "": none
	Masquerade string          // interface towards the Internet; "": none
	// NFTablesTable is one of the administrator's tables, such as "inet filter", in which vpnd
	// keeps users' addresses in sets; "": none.
	NFTablesTable string
	UserToUser    bool           // whether users reach each other
	Routes        []netip.Prefix // routes that clients are told by DHCP
	Domain        string         // DNS domain that clients are told by DHCP; "": none
}

// Pool is the addresses that clients get, with the servers that they are told.
type Pool struct {
	Addresses []Range
	DNS       []netip.Addr // nil: not set
	WINS      []netip.Addr
}

// Range is the IPv4 addresses from First to Last, both included.
type Range struct {
	First, Last netip.Addr
}

// L2TP is the identity and the secret of the tunnel.
type L2TP struct {
	Secret        string        // tunnel secret; "": none
	Hostname      string        // host name towards peers
	HelloInterval time.Duration // silence of a peer before the server sends it a Hello
	HideAVPs      bool          // needs a Secret: the session identifiers are sent hidden
}

// Limits are the largest numbers of tunnels, control connections and calls without a logged-in
// user, the same for each, and of log-ins.
type Limits struct {
	Unauthenticated           int // in all
	UnauthenticatedPerAddress int // from one outer address
	LogInsPerUser             int // in a minute
}

// MOTP is the configuration of one-time passwords.
type MOTP struct {
	Window      time.Duration // accepted on either side of the server's clock
	MaxFailures int           // failures in a row after which a user is locked
}

// History says how many log-ins and changes are kept, and for how long.
type History struct {
	Age     time.Duration
	Entries int
	// Refusals is how many refused calls are stored and logged one by one in a minute: in all, and
	// from one address.
	Refusals, RefusalsOfSource int
}

// Time is the configuration of the watch over the server's clock.
type Time struct {
	Servers   []string      // NTP servers, by name or address; none: the host's clock is used
	Interval  time.Duration // between two measurements
	MaxOffset time.Duration // of the host's clock, before a warning
}

// Management is the configuration of the pages and the API.
type Management struct {
	Listen string // address and port of HTTPS; "": off
	// Certificate and Key are PEM files, which are read again when they change. If both are "",
	// vpnd makes a self-signed certificate.
	Certificate, Key string
	Socket           string // path; "": off
}

// Hooks are the commands that run for each connection: a program's path and its arguments; empty:
// none.
type Hooks struct {
	Before   []string // may refuse
	Up, Down []string
	Timeout  time.Duration // of a run
	AtOnce   int           // runs
	Refusals int           // by Before, of a user from one address, until it runs only rarely
}

// Log is the configuration of the log.
type Log struct {
	Level  string // "debug", "info", "warn" or "error"
	Format string // "text" or "json"
	Trace  string // user or peer address whose PPP negotiation is logged; "": none
}

// Default gives the configuration without a file.
func Default() Config {
	c, err := decode("default.yaml", defaults, Config{})
	if err != nil {
		panic(err) // the file is embedded in the program, and covered by a test
	}
	return c
}

// Load reads the file at path. With an empty path, it reads DefaultPath, or uses only the defaults
// if that does not exist. The error is Faults if the file could be read.
func Load(path string) (Config, error) {
	named := path != ""
	if !named {
		path = DefaultPath
	}
	data, err := os.ReadFile(path) //nolint:gosec // the administrator names the file
	switch {
	case err == nil:
		return Parse(path, data)
	case !named && errors.Is(err, fs.ErrNotExist):
		return Default(), nil
	default:
		return Config{}, fmt.Errorf("configuration: %w", err)
	}
}

// Parse reads YAML over the defaults and checks the result. Faults contain name as the file. The
// error is Faults.
func Parse(name string, data []byte) (Config, error) {
	return decode(name, data, Default())
}

// Contains reports whether a lies in the range.
func (r Range) Contains(a netip.Addr) bool {
	return a.Is4() && r.First.Compare(a) <= 0 && a.Compare(r.Last) <= 0
}

// Count is the number of addresses in the range.
func (r Range) Count() int { return int(number(r.Last)-number(r.First)) + 1 }

// String writes the range as the configuration does.
func (r Range) String() string {
	if r.First == r.Last {
		return r.First.String()
	}
	return r.First.String() + "-" + r.Last.String()
}

// AllPools are the pools by name; "" is the pool of users that name none.
func (n Network) AllPools() map[string]Pool {
	all := map[string]Pool{"": {n.Pool, n.DNS, n.WINS}}
	for name, p := range n.Pools {
		all[name] = p
	}
	return all
}

// Addresses are the ranges of all pools, in order.
func (n Network) Addresses() []Range {
	var all []Range
	for _, p := range n.AllPools() {
		all = append(all, p.Addresses...)
	}
	slices.SortFunc(all, func(a, b Range) int { return a.First.Compare(b.First) })
	return all
}

// Prefixes covers the addresses of all pools with the fewest possible prefixes.
func (n Network) Prefixes() []netip.Prefix {
	var all []netip.Prefix
	for _, r := range n.Addresses() {
		for a := r.First; a.IsValid() && a.Compare(r.Last) <= 0; {
			bits := 32
			for bits > 0 {
				p := netip.PrefixFrom(a, bits-1)
				if p.Masked().Addr() != a || lastOf(p).Compare(r.Last) > 0 {
					break
				}
				bits--
			}
			p := netip.PrefixFrom(a, bits)
			all = append(all, p)
			a = lastOf(p).Next()
		}
	}
	return all
}

// InPool reports whether a may be given to a client.
func (n Network) InPool(a netip.Addr) bool {
	return a != n.Address && slices.ContainsFunc(n.Addresses(), func(r Range) bool { return r.Contains(a) })
}

// CheckAddress reports a fixed address that a client cannot have.
func (n Network) CheckAddress(a netip.Addr) error {
	if n.InPool(a) {
		return nil
	}
	ranges := n.Addresses()
	list := make([]string, len(ranges))
	for i, r := range ranges {
		list[i] = r.String()
	}
	return fmt.Errorf("%s is outside the pool %s", a, strings.Join(list, ", "))
}

// CheckPool reports a name that no pool has.
func (n Network) CheckPool(name string) error {
	if _, ok := n.Pools[name]; ok || name == "" {
		return nil
	}
	if len(n.Pools) == 0 {
		return fmt.Errorf("there is no pool %q: network.pools is empty", name)
	}
	return fmt.Errorf("there is no pool %q: network.pools has %s", name, strings.Join(slices.Sorted(maps.Keys(n.Pools)), ", "))
}
