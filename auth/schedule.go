package auth

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Schedule is the times of a week when a user may be connected. The zero value is always open.
type Schedule struct {
	text  string
	zone  *time.Location
	spans []span // in order; they never overlap or touch
}

// span is a range of minutes of the week, counted from Monday 00:00. It excludes its end.
type span struct{ from, to int }

const (
	dayMinutes  = 24 * 60
	weekMinutes = 7 * dayMinutes
	maxSchedule = 500 // bytes
)

// ErrSchedule is the error of ParseSchedule, followed by the fault.
var ErrSchedule = errors.New("not a schedule such as \"Mon-Fri 08:00-18:00, Sat 09:00-12:00 Europe/Berlin\"")

var dayNames = []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}

// ParseSchedule reads entries of days and hours, separated by commas, and then a time zone's name
// (none: UTC). Days are names of three letters or ranges of them. Hours that end at or before their
// beginning reach into the next day. An entry without hours is the whole day. "" is always. The
// error is ErrSchedule.
func ParseSchedule(text string) (Schedule, error) {
	s, err := parseSchedule(text)
	if err != nil {
		return Schedule{}, fmt.Errorf("%w: %w", ErrSchedule, err)
	}
	return s, nil
}

func parseSchedule(text string) (Schedule, error) {
	words := strings.Fields(text)
	if len(words) == 0 {
		return Schedule{}, nil
	}
	if len(text) > maxSchedule {
		return Schedule{}, fmt.Errorf("longer than %d characters", maxSchedule)
	}
	s := Schedule{zone: time.UTC}
	last := words[len(words)-1]
	if _, _, err := parseDays(strings.TrimSuffix(last, ",")); err != nil && !strings.Contains(last, ":") {
		zone, err := time.LoadLocation(last)
		if err != nil || last == "Local" {
			return Schedule{}, fmt.Errorf("%q is neither a day, hours, nor a time zone such as Europe/Berlin", last)
		}
		s.zone, words = zone, words[:len(words)-1]
	}
	for entry := range strings.SplitSeq(strings.Join(words, " "), ",") {
		fields := strings.Fields(entry)
		if len(fields) == 0 || len(fields) > 2 {
			return Schedule{}, fmt.Errorf("%q is not days and hours such as Mon-Fri 08:00-18:00", strings.TrimSpace(entry))
		}
		first, lastDay, err := parseDays(fields[0])
		if err != nil {
			return Schedule{}, err
		}
		from, to := 0, dayMinutes
		if len(fields) == 2 {
			if from, to, err = parseHours(fields[1]); err != nil {
				return Schedule{}, err
			}
		}
		for day := first; ; day = (day + 1) % 7 {
			s.spans = append(s.spans, span{day*dayMinutes + from, day*dayMinutes + to})
			if day == lastDay {
				break
			}
		}
	}
	s.merge()
	s.text = strings.Join(strings.Fields(text), " ")
	return s, nil
}

// merge sorts the spans, cuts them at the end of the week, and joins those that touch.
func (s *Schedule) merge() {
	var cut []span
	for _, p := range s.spans {
		if p.to > weekMinutes {
			cut = append(cut, span{0, p.to - weekMinutes})
			p.to = weekMinutes
		}
		cut = append(cut, p)
	}
	slices.SortFunc(cut, func(a, b span) int { return a.from - b.from })
	s.spans = cut[:0:0]
	for _, p := range cut {
		if n := len(s.spans); n > 0 && p.from <= s.spans[n-1].to {
			s.spans[n-1].to = max(s.spans[n-1].to, p.to)
			continue
		}
		s.spans = append(s.spans, p)
	}
}

func parseDays(text string) (first, last int, err error) {
	from, to, isRange := strings.Cut(strings.ToLower(text), "-")
	if !isRange {
		to = from
	}
	first, last = slices.Index(dayNames, from), slices.Index(dayNames, to)
	if first < 0 || last < 0 {
		return 0, 0, fmt.Errorf("%q is not a day or days such as Mon or Mon-Fri", text)
	}
	return first, last, nil
}

// parseHours gives minutes of the day. To may reach into the next day.
func parseHours(text string) (from, to int, err error) {
	a, b, isRange := strings.Cut(text, "-")
	from, okFrom := parseClock(a)
	to, okTo := parseClock(b)
	if !isRange || !okFrom || !okTo || from == dayMinutes {
		return 0, 0, fmt.Errorf("%q is not hours such as 08:00-18:00", text)
	}
	if to <= from {
		to += dayMinutes
	}
	return from, to, nil
}

func parseClock(text string) (int, bool) {
	var hour, minute int
	if len(text) != len("00:00") || text[2] != ':' {
		return 0, false
	}
	for i, to := range map[int]*int{0: &hour, 3: &minute} {
		if strings.Trim(text[i:i+2], "0123456789") != "" {
			return 0, false
		}
		*to = int(text[i]-'0')*10 + int(text[i+1]-'0')
	}
	n := hour*60 + minute
	return n, minute < 60 && n <= dayMinutes
}

// String is the text that was parsed.
func (s Schedule) String() string { return s.text }

// Open reports whether the schedule is open at t, and if so when it closes; a zero end: never. It
// follows the wall clock. Hours that are skipped when summer time begins are over immediately, and
// hours that come twice count twice.
func (s Schedule) Open(t time.Time) (open bool, end time.Time) {
	if len(s.spans) == 0 {
		return true, time.Time{}
	}
	local := t.In(s.zone)
	day := (int(local.Weekday()) + 6) % 7
	at := day*dayMinutes + local.Hour()*60 + local.Minute()
	i := slices.IndexFunc(s.spans, func(p span) bool { return p.from <= at && at < p.to })
	if i < 0 {
		return false, time.Time{}
	}
	to := s.spans[i].to
	if to == weekMinutes && s.spans[0].from == 0 {
		to += s.spans[0].to // continue into Monday
		if to-s.spans[i].from >= weekMinutes {
			return true, time.Time{}
		}
	}
	minute := local.Add(-time.Duration(local.Second())*time.Second - time.Duration(local.Nanosecond()))
	end = minute.Add(time.Duration(to-at) * time.Minute)
	if _, change := local.ZoneBounds(); !change.IsZero() && !change.After(end) {
		end = change
		if open, later := s.Open(change); open {
			end = later
		}
	}
	return true, end
}
