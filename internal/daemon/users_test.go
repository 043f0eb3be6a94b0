package daemon

import (
	"testing"
	"time"
)

// TestForgetBefore has a clock that is a year ahead, which must not delete everything, and one that
// is a year behind, which must not delete what it has just dated.
func TestForgetBefore(t *testing.T) {
	const day, age = 24 * time.Hour, 90 * 24 * time.Hour
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	for what, c := range map[string]struct{ host, corrected, oldest, want time.Time }{
		"a right clock":       {now, now, now.Add(-age - time.Hour), now.Add(-age)},
		"a new history":       {now, now, now.Add(-day), now.Add(-age)},
		"no history":          {now, now, time.Time{}, now.Add(-age)},
		"off for a month":     {now, now, now.Add(-age - 30*day), now.Add(-age - 27*day)},
		"ahead":               {now.Add(365 * day), now.Add(365 * day), now.Add(-age), now.Add(-age + 3*day)},
		"ahead, corrected":    {now.Add(365 * day), now, now.Add(-age - time.Hour), now.Add(-age)},
		"behind, corrected":   {now.Add(-365 * day), now, now.Add(-365 * day), now.Add(-365*day - age)},
		"an entry of a reset": {now, now, time.Unix(0, 0), time.Unix(0, 0).Add(3 * day)},
	} {
		if got := forgetBefore(c.host, c.corrected, c.oldest, age); !got.Equal(c.want) {
			t.Errorf("%s: %v, want %v", what, got, c.want)
		}
	}
}
