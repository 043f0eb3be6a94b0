package usermgmt

import (
	"net/netip"
	"time"
	"vpnd/auth"
	"vpnd/auth/motp"
	"vpnd/auth/totp"
)

const (
	maxPassword    = 128 // characters
	maxComment     = 200 // characters
	maxGroup       = 32
	maxDuration    = 365 * 24 * time.Hour
	maxIndex       = 1_000_000
	maxConnections = 1000
	minRate        = 8_000           // bits per second
	maxRate        = 100_000_000_000 // bits per second
	maxQuota       = 1 << 50         // bytes
)

// IPsec says whether a user's L2TP must come inside IPsec.
type IPsec string

// The policies.
const (
	IPsecNone IPsec = "none"
	IPsecNice IPsec = "nice" // preferred, but not required
	IPsecMust IPsec = "must"
)

// Further says how to treat a connection over the user's limit.
type Further string

// Values of Further.
const (
	Replace Further = "replace" // it replaces the oldest
	Refuse  Further = "refuse"
)

// Profile holds the settings of a user.
type Profile struct {
	Index          int // the number from 1; 0: the lowest free one in Add, unchanged in Update
	Name           string
	Enabled        bool
	Password       string // "": none
	MOTPSecret     string // lower-case hexadecimal digits; "": no token
	MOTPPIN        string
	TOTPSecret     string         // base32 (RFC 4648) without padding; "": none
	Services       []auth.Service // allowed types of dial-in
	IPsec          IPsec
	RemoteNode     netip.Prefix  // the outer addresses that may dial; invalid: all
	Address        netip.Addr    // fixed inner address; invalid: from the pool
	Pool           string        // the pool's name; "": the one without a name
	Group          string        // for firewalls and hooks; "": none
	IdleTimeout    time.Duration // whole seconds; 0: none
	SessionTime    time.Duration // whole seconds; 0: unlimited
	MaxConnections int           // at once; 0: unlimited
	Further        Further       // for connections over MaxConnections; "": Replace
	Schedule       string        // as auth.ParseSchedule takes it; "": always
	Expires        time.Time     // whole seconds; zero: never
	BlockNetBIOS   bool
	PassMulticast  bool
	UpLimit        uint64 // from the user, in bits per second; 0: none
	DownLimit      uint64 // to the user, in bits per second; 0: none
	Quota          uint64 // bytes in a calendar month, both ways together; 0: unlimited
	Comment        string
}

// The parts of the form, with the names of a Vigor.
const (
	partAccount  = "User account"
	partProofs   = "Authentication"
	partDialIn   = "Allowed Dial-In Type"
	partAddress  = "Address"
	partLimits   = "Time limits"
	partSchedule = "Schedule"
	partTraffic  = "Traffic"
)

// Fields are all fields except the name. Each field is declared only here. Options of the command
// line, files, the API (by go generate ./mgmt), the form and the columns follow from it. A new
// field also needs a member of Profile, and a migration for its column.
var Fields = []Field{
	field(count(maxIndex, ""), func(p *Profile) *int { return &p.Index }, Field{
		Name: "index", Column: "idx",
		Usage: "`NUMBER` of the profile, from 1 (a new user: the lowest free number)",
		Part:  partAccount, Label: "Index", Hint: "Number of the profile. Leave it empty for a new user to take the lowest free number.",
	}),
	field(yesNo(), func(p *Profile) *bool { return &p.Enabled }, Field{
		Name: "enabled", Default: "yes",
		Usage: "whether the user may dial in: `yes` or no",
		Part:  partAccount, Label: "Enable this account",
	}),
	field(plainText(maxPassword), func(p *Profile) *string { return &p.Password }, Field{
		Name: "password", Secret: true,
		Usage: "static password `P`; other local users can read command-line arguments: prefer --password-file",
		Part:  partProofs, Label: "Password", Hint: "A static password. A user may have a password, a token, or both.",
	}),
	field(anyText.cleaned(motp.Clean).checked(checkMOTPSecret), func(p *Profile) *string { return &p.MOTPSecret }, Field{
		Name: "motp-secret", Secret: true,
		Usage: "secret of the user's mOTP token, 16 to 32 `HEX` digits",
		Part:  partProofs, Label: "mOTP Secret", MaxLength: 32,
		Hint: "16 to 32 hexadecimal digits, generated or copied from the Smart VPN Client.",
	}),
	field(anyText.checked(checkMOTPPIN), func(p *Profile) *string { return &p.MOTPPIN }, Field{
		Name: "motp-pin", Secret: true,
		Usage: "PIN of the user's mOTP token, 4 to 7 `DIGITS`",
		Part:  partProofs, Label: "PIN Code", Hint: "4 to 7 digits. The user types them into the token for each password.",
		MaxLength: 7, Number: true,
	}),
	field(anyText.cleaned(totp.Clean).checked(checkTOTPSecret), func(p *Profile) *string { return &p.TOTPSecret }, Field{
		Name: "totp-secret", Secret: true,
		Usage: "secret of the user's TOTP app in `BASE32`",
		Part:  partProofs, Label: "TOTP Secret", Hint: "Base32, for any authenticator app. The page shows a QR code when the secret is stored.",
	}),
	field(serviceList, func(p *Profile) *[]auth.Service { return &p.Services }, Field{
		Name: "dial-in", Column: "services", Default: "l2tp,pptp",
		Usage: "`TYPES` of dial-in that are allowed: pptp, l2tp, pptp,l2tp or none",
		Part:  partDialIn, Label: "Types", Hint: "How the user may dial in.", Choices: []Choice{{"pptp", "PPTP"}, {"l2tp", "L2TP"}},
	}),
	field(word(IPsecNone, IPsecNice, IPsecMust), func(p *Profile) *IPsec { return &p.IPsec }, Field{
		Name: "ipsec", Default: "none",
		Usage: "`POLICY` for L2TP: none, nice or must",
		Part:  partDialIn, Label: "L2TP with IPsec Policy", Choices: []Choice{
			{"none", "None: IPsec is not needed"},
			{"nice", "Nice to Have: IPsec if the client uses it"},
			{"must", "Must: plain L2TP is refused"},
		},
	}),
	field(prefix, func(p *Profile) *netip.Prefix { return &p.RemoteNode }, Field{
		Name:  "remote-node",
		Usage: "the only outer `ADDRESS` or prefix from which the user may dial",
		Part:  partDialIn, Label: "Specify Remote Node",
		Hint: "The only address or prefix, such as 203.0.113.0/24, from which the user may dial. Empty: any.",
	}),
	field(address, func(p *Profile) *netip.Addr { return &p.Address }, Field{
		Name:  "address",
		Usage: "fixed `IP` address of the user, from a pool",
		Part:  partAddress, Label: "Assign Static IP Address", Hint: "From a pool, for one connection at a time. Empty: any free address.",
	}),
	field(anyText.checked(checkPool), func(p *Profile) *string { return &p.Pool }, Field{
		Name:  "pool",
		Usage: "`NAME` of the pool from which the user gets an address",
		Part:  partAddress, Label: "Pool", Hint: "The user gets an address from this pool.",
	}),
	field(anyText.checked(checkGroup), func(p *Profile) *string { return &p.Group }, Field{
		Name: "group", Column: "user_group",
		Usage: "`NAME` of the user's group, for firewalls (network.nftables_table) and hooks; a Vigor has no groups",
		Part:  partAddress, Label: "Group",
		Hint: "For firewall rules (network.nftables_table) and hooks. Empty: none.",
	}),
	field(seconds(), func(p *Profile) *time.Duration { return &p.IdleTimeout }, Field{
		Name: "idle-timeout", Default: "300s",
		Usage: "`TIME` without user data until the server hangs up, such as 300s; 0s: never",
		Part:  partLimits, Label: "Idle Timeout", Unit: "seconds", Zero: "never",
		Hint: "The server hangs up after this number of seconds without data. 0: never.",
	}),
	field(duration, func(p *Profile) *time.Duration { return &p.SessionTime }, Field{
		Name: "session-time", Default: "0s",
		Usage: "`TIME` until the server hangs up, such as 8h; 0s: never",
		Part:  partLimits, Label: "Session time", Zero: "never",
		Hint: "The server hangs up after this time, such as 8h or 90m. 0s: never.",
	}),
	field(count(maxConnections, "0"), func(p *Profile) *int { return &p.MaxConnections }, Field{
		Name: "max-connections", Default: "1",
		Usage: "`NUMBER` of connections at once; 0: unlimited",
		Part:  partLimits, Label: "Connections at once", Hint: "0: unlimited.", Zero: "unlimited",
	}),
	field(word(Replace, Refuse), func(p *Profile) *Further { return &p.Further }, Field{
		Name: "further", Default: "replace",
		Usage: "`WHAT` happens to a connection over that number: it replaces the oldest (replace), or is refused (refuse)",
		Part:  partLimits, Label: "One connection more", Choices: []Choice{{"replace", "replaces the oldest"}, {"refuse", "is refused"}},
	}),
	field(schedule, func(p *Profile) *string { return &p.Schedule }, Field{
		Name:  "schedule",
		Usage: "`TIMES` at which the user may be connected, such as \"Mon-Fri 08:00-18:00 Europe/Berlin\"; empty: always",
		Part:  partSchedule, Label: "Schedule",
		Hint: "Such as Mon-Fri 08:00-18:00, Sat 09:00-12:00 Europe/Berlin. The default zone is UTC. Empty: always.",
	}),
	field(moment, func(p *Profile) *time.Time { return &p.Expires }, Field{
		Name:  "expires",
		Usage: "`DATE` (2027-12-31, to its end in UTC) or time (2027-12-31T18:00:00Z) after which the user may not dial in; empty: never",
		Part:  partSchedule, Label: "Account expires",
		Hint: "A day such as 2027-12-31, to its end in UTC, or a time such as 2027-12-31T18:00:00Z. Empty: never.",
	}),
	field(choice("block", "pass"), func(p *Profile) *bool { return &p.BlockNetBIOS }, Field{
		Name: "netbios", Column: "block_netbios", Default: "pass",
		Usage: "`WHAT` happens to NetBIOS naming packets: pass or block",
		Part:  partTraffic, Label: "Netbios Naming Packet", Choices: passOrBlock,
	}),
	field(choice("pass", "block"), func(p *Profile) *bool { return &p.PassMulticast }, Field{
		Name: "multicast", Column: "pass_multicast", Default: "block",
		Usage: "`WHAT` happens to multicast packets: pass or block",
		Part:  partTraffic, Label: "Multicast via VPN", Choices: passOrBlock,
	}),
	field(quantity(minRate, maxRate, "bit/s"), func(p *Profile) *uint64 { return &p.UpLimit }, Field{
		Name:  "up-limit",
		Usage: "`RATE` from the user, in bits per second, such as 10M; 0: unlimited",
		Part:  partTraffic, Label: "Rate from the user", Hint: "Bits per second, such as 10M. 0: unlimited.", Zero: "unlimited",
	}),
	field(quantity(minRate, maxRate, "bit/s"), func(p *Profile) *uint64 { return &p.DownLimit }, Field{
		Name:  "down-limit",
		Usage: "`RATE` to the user, in bits per second, such as 10M; 0: unlimited",
		Part:  partTraffic, Label: "Rate to the user", Hint: "Bits per second, such as 10M. 0: unlimited.", Zero: "unlimited",
	}),
	field(quantity(1, maxQuota, "bytes"), func(p *Profile) *uint64 { return &p.Quota }, Field{
		Name:  "quota",
		Usage: "`BYTES` in a calendar month (UTC), both ways together, such as 50G; 0: unlimited",
		Part:  partTraffic, Label: "Quota", Zero: "unlimited",
		Hint: "Bytes in a calendar month (UTC), both ways together, such as 50G. 0: unlimited.",
	}),
	field(plainText(maxComment), func(p *Profile) *string { return &p.Comment }, Field{
		Name:  "comment",
		Usage: "`TEXT` for the administrator, shown with the user",
		Part:  partAccount, Label: "Comment", Hint: "Shown to administrators.",
	}),
}

var passOrBlock = []Choice{{"pass", "Pass"}, {"block", "Block"}}
