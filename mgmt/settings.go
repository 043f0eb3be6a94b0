package mgmt

import (
	"context"
	"math"
	"time"
)

// CurrentSettings gives the current settings.
type CurrentSettings interface {
	// Services says which services take calls.
	Services() ServiceSet
	// PPP is PPP General Setup.
	PPP() PPPSettings
	// Time says how the daemon watches the host's clock.
	Time() TimeSettings
	// Pools are the address pools of clients.
	Pools() PoolSettings
	// Overridden names the keys of the configuration file that a change overrides, such as
	// services.pptp.
	Overridden() []string
	// ShutdownState says whether a shutdown is pending.
	ShutdownState() ShutdownState
}

// Settings changes settings at run time. A change persists: it also overrides the configuration
// file at the next start. Errors can be shown to users: a FieldError, or several joined, for
// fields. After a ConflictError, nothing has changed.
type Settings interface {
	CurrentSettings

	// SetServices turns services on and off. A service that is off accepts no new calls, and hangs
	// up its open calls if drop is true. SetServices makes the whole change or none.
	SetServices(ctx context.Context, to ServiceSet, drop bool) error
	// SetPPP sets what new connections negotiate.
	SetPPP(ctx context.Context, to PPPSettings) error
	// SetTime sets how the daemon watches the clock.
	SetTime(ctx context.Context, to TimeSettings) error
	// SetPools sets the addresses for new connections. It cannot remove a pool that a user names.
	SetPools(ctx context.Context, to PoolSettings) error

	// ShutDown ends the daemon. It accepts no new calls, and hangs up open calls after within:
	// immediately if within is 0, never if it is NoLimit. The daemon ends after the last
	// connection.
	ShutDown(ctx context.Context, within time.Duration) error
	// CancelShutdown cancels a pending shutdown and restores the services.
	CancelShutdown(ctx context.Context) error
}

// NoLimit has ShutDown wait until the last connection ends.
const NoLimit time.Duration = math.MaxInt64

// ServiceSet says which services are on.
type ServiceSet struct {
	PPTP bool `json:"pptp" doc:"PPTP VPN Service"`
	L2TP bool `json:"l2tp" doc:"L2TP VPN Service"`
}

// PPPSettings is PPP General Setup. Durations are texts, such as 30s, as in the configuration file.
type PPPSettings struct {
	Authentication []string  `json:"authentication" doc:"Methods that vpnd offers, in this order: mschapv2, mschap, chap, pap"`
	MPPE           string    `json:"mppe" doc:"off, optional, required (40, 56 or 128 bits) or maximum (128 bits)"`
	MPPEStateful   bool      `json:"mppe_stateful" doc:"The key changes every 256 packets for clients that agree to it"`
	EchoInterval   string    `json:"echo_interval" doc:"Such as 30s; 0s: off"`
	EchoFailures   int       `json:"echo_failures" doc:"Unanswered echoes that end a connection; 0: off"`
	CHAPInterval   string    `json:"chap_interval" doc:"Time after which CHAP authenticates an open connection again, such as 1h; 0s: never"`
	MutualPAP      MutualPAP `json:"mutual_pap"`
}

// MutualPAP has the name and the password by which the server authenticates itself, with PAP, to
// clients that ask for it.
type MutualPAP struct {
	User        string `json:"user" doc:"Empty: the server does not authenticate itself"`
	Password    string `json:"password,omitempty" writeOnly:"true" doc:"Never read back; empty: unchanged"`
	HasPassword bool   `json:"has_password" readOnly:"true"`
	Proof       string `json:"-"` // access.Proof of the current password
}

// TimeSettings say how the daemon watches the host's clock. Durations are texts, as in the
// configuration file.
type TimeSettings struct {
	Servers   []string `json:"servers" doc:"NTP servers, by name or address; none: vpnd uses the host's clock"`
	Interval  string   `json:"interval" doc:"Time between two measurements, such as 1h"`
	MaxOffset string   `json:"max_offset" doc:"vpnd warns if the host's clock is off by more, such as 10s"`
}

// PoolSettings are the address pools: the pool for users that name none, and the named pools.
type PoolSettings struct {
	AddressPool
	Pools map[string]AddressPool `json:"pools" doc:"Further pools by their names, for users whose profile names one"`
}

// AddressPool has addresses for clients, and the servers that clients are told.
type AddressPool struct {
	Ranges []PoolRange `json:"ranges" minItems:"1" maxItems:"256"`
	DNS    []string    `json:"dns" maxItems:"2" doc:"IPv4 addresses of DNS servers"`
	WINS   []string    `json:"wins" maxItems:"2" doc:"IPv4 addresses of WINS servers"`
}

// ShutdownState says whether the daemon ends after its last connection.
type ShutdownState struct {
	Pending     bool       `json:"pending" doc:"The daemon accepts no new calls"`
	By          string     `json:"by,omitempty" doc:"The person who requested it"`
	Since       *time.Time `json:"since,omitempty"`
	At          *time.Time `json:"at,omitempty" doc:"Time at which the daemon hangs up the rest; absent: never"`
	Connections int        `json:"connections" doc:"Open connections, and those that are being set up"`
}

// ConflictError says why a change is not possible, and gives the fix.
type ConflictError struct{ Text string }

// Error implements error.
func (e *ConflictError) Error() string { return e.Text }

// FieldError is the fault of one field of a setting, with the fix.
type FieldError struct {
	Field string // as in JSON, such as mutual_pap.user
	Text  string
}

// Error implements error.
func (e *FieldError) Error() string { return e.Field + ": " + e.Text }
