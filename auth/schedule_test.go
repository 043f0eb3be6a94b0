package auth_test

import (
	"errors"
	"testing"
	"time"
	_ "time/tzdata"
	"vpnd/auth"
)

func at(t *testing.T, text string) time.Time {
	t.Helper()
	v, err := time.Parse("2006-01-02 15:04:05 -0700", text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// 2026-11-23 is a Monday. Berlin is at +0100 in winter. Its clocks change on 2026-03-29 and
// 2026-10-25.
func TestScheduleOpen(t *testing.T) {
	for _, c := range []struct {
		schedule, now, end string // end "": closed; "never": open for good
	}{
		{"", "2026-11-23 03:00:00 +0000", "never"},
		{"Mon-Sun", "2026-11-23 03:00:00 +0000", "never"},
		{"Mon-Fri 08:00-18:00", "2026-11-23 07:59:59 +0000", ""},
		{"Mon-Fri 08:00-18:00", "2026-11-23 08:00:00 +0000", "2026-11-23 18:00:00 +0000"},
		{"Mon-Fri 08:00-18:00", "2026-11-23 17:59:59 +0000", "2026-11-23 18:00:00 +0000"},
		{"Mon-Fri 08:00-18:00", "2026-11-23 18:00:00 +0000", ""},
		{"Mon-Fri 08:00-18:00", "2026-11-28 12:00:00 +0000", ""},
		{"Mon-Fri 08:00-18:00 Europe/Berlin", "2026-11-23 07:00:00 +0000", "2026-11-23 17:00:00 +0000"},
		{"mon-fri 08:00-12:00, Mon 12:00-13:00,Sat 9:00-10:00", "", "bad"},
		{"mon-fri 08:00-12:00, Mon 12:00-13:00,Sat 09:00-10:00", "2026-11-23 09:00:00 +0000", "2026-11-23 13:00:00 +0000"},
		{"Fri-Mon 20:00-06:00", "2026-11-24 05:00:00 +0000", "2026-11-24 06:00:00 +0000"},
		{"Fri-Mon 20:00-06:00", "2026-11-24 21:00:00 +0000", ""},
		{"Sun 20:00-06:00", "2026-11-29 21:00:00 +0000", "2026-11-30 06:00:00 +0000"},
		{"Sun 20:00-06:00", "2026-11-23 05:59:00 +0000", "2026-11-23 06:00:00 +0000"},
		{"Sat, Sun", "2026-11-28 00:00:00 +0000", "2026-11-30 00:00:00 +0000"},
		{"Mon 00:00-24:00", "2026-11-23 23:59:00 +0000", "2026-11-24 00:00:00 +0000"},
		{"Sun 01:00-04:00 Europe/Berlin", "2026-03-29 00:30:00 +0000", "2026-03-29 02:00:00 +0000"},    // 02:00 is 03:00
		{"Sun 01:00-04:00 Europe/Berlin", "2026-10-25 00:30:00 +0000", "2026-10-25 03:00:00 +0000"},    // 02:00 comes twice
		{"Sun 01:00-02:30 Europe/Berlin", "2026-10-25 01:15:00 +0000", "2026-10-25 01:30:00 +0000"},    // the second 02:15
		{"Sun 01:00-02:30 Europe/Berlin", "2026-10-25 00:15:00 +0000", "2026-10-25 00:30:00 +0000"},    // the first
		{"Sun 01:00-02:30 Europe/Berlin", "2026-03-29 00:03:20 +0000", "2026-03-29 01:00:00 +0000"},    // 02:30 is skipped
		{"Sat 08:00-24:00 America/Santiago", "2026-09-05 12:00:00 +0000", "2026-09-06 04:00:00 +0000"}, // Sunday has no 00:00
		{"Sat 08:00-24:00 America/Santiago", "2026-04-04 12:00:00 +0000", "2026-04-05 04:00:00 +0000"}, // Saturday has two 23:00
	} {
		s, err := auth.ParseSchedule(c.schedule)
		if c.end == "bad" {
			if !errors.Is(err, auth.ErrSchedule) {
				t.Errorf("%q: %v", c.schedule, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", c.schedule, err)
			continue
		}
		open, end := s.Open(at(t, c.now))
		switch {
		case open != (c.end != ""):
			t.Errorf("%q at %s: open %v", c.schedule, c.now, open)
		case c.end == "never":
			if !end.IsZero() {
				t.Errorf("%q at %s: ends %v", c.schedule, c.now, end)
			}
		case open && !end.Equal(at(t, c.end)):
			t.Errorf("%q at %s: ends %v, want %s", c.schedule, c.now, end, c.end)
		}
	}
}

// TestScheduleAroundChanges checks that each connection ends in the first minute in which nobody
// could dial in, on the days of clock changes.
func TestScheduleAroundChanges(t *testing.T) {
	for _, day := range []string{"2026-03-29 01:00:00 +0000", "2026-10-25 01:00:00 +0000"} { // in Berlin and on the Azores
		for _, zone := range []string{"Europe/Berlin", "Atlantic/Azores"} {
			for _, text := range []string{"Sat 08:00-24:00", "Sun 01:30-02:30", "Fri-Sat 20:00-00:30", "Sun 02:10-02:50", "Sat-Sun 22:00-01:00"} {
				s, err := auth.ParseSchedule(text + " " + zone)
				if err != nil {
					t.Fatal(err)
				}
				closes := time.Time{}
				for now := at(t, day).Add(6 * time.Hour); now.After(at(t, day).Add(-20 * time.Hour)); now = now.Add(-time.Minute) {
					open, end := s.Open(now)
					if !open {
						closes = now
					} else if !closes.IsZero() && !end.Equal(closes) {
						t.Fatalf("%s %s: at %v it ends %v, and %v is the first minute that is closed", text, zone, now, end, closes)
					}
				}
			}
		}
	}
}

func TestScheduleFaults(t *testing.T) {
	for _, text := range []string{
		"Mon 8:00-18:00", "Mon 08:00", "Mon 08:00-25:00", "Mon 24:00-25:00", "Mon 08:60-09:00", "Foo", "Mon Europe/Nowhere", "Mon, ,Tue",
		"Mon 08:00-09:00 10:00-11:00", "08:00-09:00", "Mon-", "Local", "Mon Local", ", Mon", "Mon 08:00-09:00-10:00",
	} {
		if _, err := auth.ParseSchedule(text); !errors.Is(err, auth.ErrSchedule) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// A schedule that is open closes later, within a week, and is closed then, or it is open for good.
func FuzzSchedule(f *testing.F) {
	f.Add("Mon-Fri 08:00-18:00, Sat 09:00-12:00 Europe/Berlin", int64(1_790_000_000))
	f.Add("Sun 20:00-06:00", int64(0))
	f.Add("Sat,Sun,Mon", int64(1e9))
	f.Fuzz(func(t *testing.T, text string, unix int64) {
		s, err := auth.ParseSchedule(text)
		if err != nil {
			return
		}
		now := time.Unix(unix%(1<<33), 0)
		if open, end := s.Open(now); open && !end.IsZero() {
			again, _ := s.Open(end)
			if !end.After(now) || end.Sub(now) > 8*24*time.Hour || again {
				t.Errorf("%q at %v ends %v, and is open then: %v", text, now, end, again)
			}
		}
	})
}
