// Package amount formats amounts and lists for people, on pages and terminals.
package amount

import (
	"fmt"
	"strings"
	"time"
)

// Bytes is a number of bytes, such as 1.50 MB. Prefixes are decimal, as in quotas.
func Bytes(n uint64) string { return scaled(float64(n), "B") }

// Rate is a number of bits per second, such as 1.50 Mbps.
func Rate(bps float64) string { return scaled(bps, "bps") }

// scaled writes three digits and a unit with its decimal prefix.
func scaled(f float64, unit string) string {
	prefixes := []string{"", "k", "M", "G", "T", "P", "E"}
	i := 0
	for f >= 999.5 && i < len(prefixes)-1 {
		f /= 1000
		i++
	}
	digits := 0
	if i > 0 && f < 9.995 {
		digits = 2
	} else if i > 0 && f < 99.95 {
		digits = 1
	}
	return fmt.Sprintf("%.*f %s%s", digits, f, prefixes[i], unit)
}

// Uptime is a number of seconds as h:mm:ss, as on a Vigor.
func Uptime(seconds int64) string {
	return fmt.Sprintf("%d:%02d:%02d", seconds/3600, seconds/60%60, seconds%60)
}

// Names lists the first of many names, and the number of the others.
func Names(names []string) string {
	const most = 5
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
}

// Duration is a duration without trailing units that are 0, such as 1h30m.
func Duration(d time.Duration) string {
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}
