// Package config reads the daemon's configuration: YAML with embedded defaults. It reports all faults
// at once, each with its line and column.
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

// Services says what types of dial-in are served.
type Services struct {
	PPTP, L2TP bool
}

// PPP is what is negotiated with every client.
type PPP struct {
	Authentication []string      // of "mschapv2", "mschap", "chap", "pap", in the order of offering
	MPPE           string        // "off", "optional", "required" or "maximum": required with 128 bits
	MPPEStateful   bool          // stateful MPPE is asked for first
	MPPEKeyChanges int           // for lost packets, that a connection may have the server make in a second
	MRU            int           // bytes, 576 to 1500
	EchoInterval   time.Duration // 0: off
	EchoFailures   int           // unanswered echoes that end a connection; 0: off
	CHAPInterval   time.Duration // after which CHAP asks again, except for one-time passwords; 0: never
	MutualPAP      MutualPAP
}

// MutualPAP is how the server shows itself, by PAP, to clients that ask for it; empty: it does not.
type MutualPAP struct {
	User, Password string // 1 to 255 bytes each
}

// Network is the inner side.
type Network struct {
	Interface  string       // name of the TUN interface
	Address    netip.Addr   // the server's inner IPv4 address
	Pool       []Range      // addresses that clients get
	DNS        []netip.Addr // nil: not set
	WINS       []netip.Addr
	Pools      map[string]Pool // further ones, for users that name them
	PoolChange string          // what a reload does to connections whose address has left the pools: "keep" or "drop"
	ProxyARP   string          // interface on which dial-in addresses are answered for; "": none
	Masquerade string          // interface towards the Internet; "": none
	// NFTablesTable is one of the administrator's tables in which users' addresses are kept in sets, as "inet filter"; "": none.
	NFTablesTable string
	UserToUser    bool           // whether users reach each other
	Routes        []netip.Prefix // what clients are told, by DHCP, to reach through the server
	Domain        string         // DNS domain that clients are told, by DHCP; "": none
}

// Pool is addresses that clients get, with the servers that they are told of.
type Pool struct {
	Addresses []Range
	DNS       []netip.Addr // nil: not set
	WINS      []netip.Addr
}

// Range is the IPv4 addresses from First to Last, both included.
type Range struct {
	First, Last netip.Addr
}

// L2TP is the tunnel's identity and secret.
type L2TP struct {
	Secret        string        // tunnel secret; "": none
	Hostname      string        // host name towards peers
	HelloInterval time.Duration // silence of a peer before it is asked whether it lives
	HideAVPs      bool          // with a Secret: the identifiers of our sessions go hidden
}

// Limits are how many tunnels, control connections and calls, of each as many, may be without a user who has logged in; and
// how often users may log in.
type Limits struct {
	Unauthenticated           int // in all
	UnauthenticatedPerAddress int // from one outer address
	LogInsPerUser             int // within a minute
}

// MOTP rules one-time passwords.
type MOTP struct {
	Window      time.Duration // accepted to either side of the server's clock
	MaxFailures int           // failures in a row that lock a user
}

// History is how much is remembered of log-ins and changes.
type History struct {
	Age     time.Duration
	Entries int
	// Refusals are how many refused calls are remembered and logged one by one in a minute: in all, and of one address.
	Refusals, RefusalsOfSource int
}

// Time is the watch over the server's clock.
type Time struct {
	Servers   []string      // NTP servers, by name or address; none: the host's clock counts
	Interval  time.Duration // between two measurements
	MaxOffset time.Duration // of the host's clock before there is a warning
}

// Management is where the daemon is managed.
type Management struct {
	Listen string // address and port of HTTPS; "": off
	// Certificate and Key are files in PEM, which are read again when they change; both "": a self-signed one is made.
	Certificate, Key string
	Socket           string // path; "": off
}

// Hooks are commands that are run for each connection: a program's path and its arguments; empty: none.
type Hooks struct {
	Before   []string // may refuse
	Up, Down []string
	Timeout  time.Duration // of a run
	AtOnce   int           // runs
	Refusals int           // by Before, of a user from one address, until it is run only now and then
}

// Log says what is logged and how.
type Log struct {
	Level  string // "debug", "info", "warn" or "error"
	Format string // "text" or "json"
	Trace  string // user or peer address whose PPP negotiation is logged; "": none
}

// Default gives what holds without a file.
func Default() Config {
	c, err := decode("default.yaml", defaults, Config{})
	if err != nil {
		panic(err) // embedded in the program, and covered by a test
	}
	return c
}

// Load reads the file at path. With an empty path, it reads DefaultPath, or uses only the defaults if
// that does not exist. The error is Faults if the file could be read.
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

// Parse reads YAML over the defaults and checks the outcome. Faults contain name as the file.
// The error is Faults.
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

// AllPools are the pools by name; "" is the one of users that name none.
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

// Prefixes covers the addresses of all pools with as few prefixes as there can be.
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

// CheckAddress reports that a client cannot have a fixed address.
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

// CheckPool reports that there is no pool of a name.
func (n Network) CheckPool(name string) error {
	if _, ok := n.Pools[name]; ok || name == "" {
		return nil
	}
	if len(n.Pools) == 0 {
		return fmt.Errorf("there is no pool %q: network.pools is empty", name)
	}
	return fmt.Errorf("there is no pool %q: network.pools has %s", name, strings.Join(slices.Sorted(maps.Keys(n.Pools)), ", "))
}
