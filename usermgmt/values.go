package usermgmt

import (
	"database/sql"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"vpnd/auth"
)

func same[T any](v T) T { return v }

func asIs[T any](v T) any { return v }

func assign[T any](to *T, v T) error {
	*to = v
	return nil
}

func storeServices(list []auth.Service) string {
	words := make([]string, len(list))
	for i, s := range list {
		words[i] = string(s)
	}
	return strings.Join(words, ",")
}

func loadServices(to *[]auth.Service, s string) error {
	*to = nil
	if s == "" {
		return nil
	}
	for name := range strings.SplitSeq(s, ",") {
		*to = append(*to, auth.Service(name))
	}
	return nil
}

func storePrefix(p netip.Prefix) string {
	if !p.IsValid() {
		return ""
	}
	return p.String()
}

func loadPrefix(to *netip.Prefix, s string) (err error) {
	if s != "" {
		*to, err = netip.ParsePrefix(s)
	}
	return err
}

// nullable is an address for its column. No address is NULL, because the column is unique.
func nullable(a netip.Addr) sql.NullString {
	return sql.NullString{String: text(a), Valid: a.IsValid()}
}

func text(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func loadAddress(to *netip.Addr, s sql.NullString) (err error) {
	if s.Valid {
		*to, err = netip.ParseAddr(s.String)
	}
	return err
}

func storeSeconds(d time.Duration) int64 { return int64(d / time.Second) }

func loadSeconds(to *time.Duration, n int64) error { return assign(to, time.Duration(n)*time.Second) }

func storeTime(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

func loadTime(to *time.Time, n int64) error {
	if n != 0 {
		*to = time.Unix(n, 0).UTC()
	}
	return nil
}

// storeAmount does not overflow: the rules keep amounts small.
func storeAmount(n uint64) int64 { return int64(n) }

func loadAmount(to *uint64, n int64) error { return assign(to, uint64(n)) }

func number(n int, zero string) string {
	if n == 0 {
		return zero
	}
	return strconv.Itoa(n)
}

func parseNumber(to *int, s string) error {
	if s == "" {
		s = "0"
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return fmt.Errorf("%q is not a whole number", s)
	}
	*to = n
	return nil
}

func oneOf(b bool, yes, no string) string {
	if b {
		return yes
	}
	return no
}

func choose(to *bool, s, yes, no string) error {
	if s != yes && s != no {
		return fmt.Errorf("%q is not one of %s, %s", s, yes, no)
	}
	*to = s == yes
	return nil
}

func services(list []auth.Service) string {
	if len(list) == 0 {
		return "none"
	}
	return storeServices(list)
}

func serviceNames(list []auth.Service) any {
	names := make([]string, len(list))
	for i, s := range list {
		names[i] = string(s)
	}
	return names
}

func sorted(list []auth.Service) []auth.Service {
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}

func checkServices(list []auth.Service) error {
	for _, s := range list {
		if s != auth.PPTP && s != auth.L2TP {
			return fmt.Errorf("%q is not one of pptp, l2tp", string(s))
		}
	}
	return nil
}

func parseServices(to *[]auth.Service, s string) error {
	*to = nil
	if s == "none" || s == "" {
		return nil
	}
	for word := range strings.SplitSeq(s, ",") {
		*to = append(*to, auth.Service(strings.TrimSpace(word)))
	}
	return nil
}

func node(p netip.Prefix) string {
	switch {
	case !p.IsValid():
		return ""
	case p.IsSingleIP():
		return p.Addr().String()
	default:
		return p.String()
	}
}

func parseNode(to *netip.Prefix, s string) error {
	if s == "" {
		*to = netip.Prefix{}
		return nil
	}
	if a, err := netip.ParseAddr(s); err == nil {
		*to = netip.PrefixFrom(a, a.BitLen())
		return nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return fmt.Errorf("%q is not an address or a prefix such as 203.0.113.0/24", s)
	}
	*to = p
	return nil
}

func checkPrefix(p netip.Prefix) error {
	if p.IsValid() && !p.Addr().Is4() {
		return fmt.Errorf("%s is not an IPv4 address or prefix", p)
	}
	return nil
}

func checkAddress(a netip.Addr) error {
	if a.IsValid() && !a.Is4() {
		return fmt.Errorf("%s is not an IPv4 address", a)
	}
	return nil
}

func parseAddress(to *netip.Addr, s string) error {
	if s == "" {
		*to = netip.Addr{}
		return nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil || !a.Is4() {
		return fmt.Errorf("%q is not an IPv4 address", s)
	}
	*to = a
	return nil
}

// parseDuration reads "300s", or "300" for seconds as on a Vigor's page.
func parseDuration(to *time.Duration, s string) error {
	if s == "" {
		s = "0"
	}
	text := s
	if _, err := strconv.Atoi(s); err == nil {
		text += "s"
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("%q is not a duration such as 300s or 8h", s)
	}
	*to = d
	return nil
}

func checkDuration(d time.Duration) error {
	if d < 0 || d > maxDuration || d%time.Second != 0 {
		return fmt.Errorf("%s is not a number of whole seconds from 0s (none) to %s", d, maxDuration)
	}
	return nil
}

func orNull(t time.Time) any {
	if t.IsZero() {
		return (*time.Time)(nil)
	}
	return &t
}

func inSeconds(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC().Truncate(time.Second)
}

func checkYear(t time.Time) error {
	if y := t.Year(); !t.IsZero() && (y < 1970 || y > 9999) {
		return fmt.Errorf("the year %d is not between 1970 and 9999", y)
	}
	return nil
}

// cleanSchedule writes a schedule in auth's form. A wrong schedule stays as it is.
func cleanSchedule(s string) string {
	if schedule, err := auth.ParseSchedule(s); err == nil {
		return schedule.String()
	}
	return s
}

func date(t time.Time) string {
	switch {
	case t.IsZero():
		return ""
	case t.Equal(t.Truncate(24 * time.Hour)):
		return t.AddDate(0, 0, -1).Format(time.DateOnly)
	default:
		return t.Format(time.RFC3339)
	}
}

func parseDate(to *time.Time, s string) error {
	if s == "" || s == "never" {
		*to = time.Time{}
		return nil
	}
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		*to = t.AddDate(0, 0, 1)
		return nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return fmt.Errorf("%q is neither a date such as 2027-12-31 nor a time such as 2027-12-31T18:00:00Z", s)
	}
	*to = t
	return nil
}

const units = "kMGT"

// size writes a number with the largest unit that keeps it whole.
func size(n uint64) string {
	unit := 0
	for n != 0 && n%1000 == 0 && unit < len(units) {
		n /= 1000
		unit++
	}
	if unit == 0 {
		return strconv.FormatUint(n, 10)
	}
	return strconv.FormatUint(n, 10) + units[unit-1:unit]
}

func parseSize(to *uint64, s string) error {
	if s == "" {
		s = "0"
	}
	fail := fmt.Errorf("%q is not a number such as 500k, 10M or 50G", s)
	digits, factor := s, uint64(1)
	if i := strings.IndexByte(units, s[len(s)-1]); i >= 0 {
		digits = s[:len(s)-1]
		for range i + 1 {
			factor *= 1000
		}
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || n > 1<<63/factor {
		return fail
	}
	*to = n * factor
	return nil
}
