package usermgmt

import (
	"cmp"
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
	"vpnd/auth"
	"vpnd/internal/amount"
)

// kind describes the values of a type: their text, their form in a column of the database, and the
// rules.
type kind[T, C any] struct {
	text  func(T) string
	parse func(*T, string) error
	store func(T) C
	load  func(*T, C) error

	typed func(T) string // in a form; nil: as text
	json  func(T) any    // in the API; nil: as text
	clean func(T) T      // converts to the stored form; nil: as it is
	check func(T) error  // checks a clean value; nil: all are valid

	values    []string // all valid texts, if they can be listed
	maxLength int      // of the text, in characters; 0: any
	number    bool     // the text has only digits
}

// Kinds for fields of any value, or with one rule for all fields.
var (
	anyText     = word[string]()
	serviceList = kind[[]auth.Service, string]{
		text: services, parse: parseServices, store: storeServices, load: loadServices,
		json: serviceNames, clean: sorted, check: checkServices, values: []string{"pptp,l2tp", "pptp", "l2tp", "none"},
	}
	prefix = kind[netip.Prefix, string]{
		text: node, parse: parseNode, store: storePrefix, load: loadPrefix, clean: netip.Prefix.Masked, check: checkPrefix,
	}
	address = kind[netip.Addr, sql.NullString]{
		text: text, parse: parseAddress, store: nullable, load: loadAddress, clean: netip.Addr.Unmap, check: checkAddress,
	}
	duration = kind[time.Duration, int64]{
		text: time.Duration.String, parse: parseDuration, store: storeSeconds, load: loadSeconds,
		typed: amount.Duration, json: func(d time.Duration) any { return storeSeconds(d) }, check: checkDuration,
	}
	moment = kind[time.Time, int64]{
		text: date, parse: parseDate, store: storeTime, load: loadTime, json: orNull, clean: inSeconds, check: checkYear,
	}
	schedule = anyText.cleaned(cleanSchedule).checked(func(s string) error { _, err := auth.ParseSchedule(s); return err })
)

// cleaned gives the kind with another clean function.
func (k kind[T, C]) cleaned(clean func(T) T) kind[T, C] {
	k.clean = clean
	return k
}

// checked gives the kind with another rule.
func (k kind[T, C]) checked(check func(T) error) kind[T, C] {
	k.check = check
	return k
}

// word is a text of its own type. If values are given, it must be one of them; the empty text is
// the first.
func word[T ~string](values ...T) kind[T, string] {
	k := kind[T, string]{
		text: func(v T) string { return string(v) }, parse: func(to *T, s string) error { *to = T(s); return nil },
		store: func(v T) string { return string(v) }, load: func(to *T, s string) error { *to = T(s); return nil },
	}
	if len(values) == 0 {
		return k
	}
	for _, v := range values {
		k.values = append(k.values, string(v))
	}
	list := strings.Join(k.values, ", ")
	return k.cleaned(func(v T) T { return cmp.Or(v, values[0]) }).checked(func(v T) error {
		if !slices.Contains(values, v) {
			return fmt.Errorf("%q is not one of %s", string(v), list)
		}
		return nil
	})
}

// plainText is a text whose limit is most characters.
func plainText(most int) kind[string, string] {
	k := anyText
	k.maxLength = most
	return k.checked(func(s string) error {
		switch {
		case !utf8.ValidString(s):
			return errors.New("has bytes that are not UTF-8, as \\E4 for ä in some files: write the characters themselves")
		case utf8.RuneCountInString(s) > most || strings.ContainsFunc(s, unicode.IsControl):
			return fmt.Errorf("must have at most %d characters without control characters", most)
		}
		return nil
	})
}

// choice is a bool with a word for true and one for false.
func choice(yes, no string) kind[bool, bool] {
	return kind[bool, bool]{
		text:  func(b bool) string { return oneOf(b, yes, no) },
		parse: func(to *bool, s string) error { return choose(to, s, yes, no) },
		store: same[bool], load: assign[bool], values: []string{yes, no},
	}
}

// yesNo is a choice that is true or false in the API.
func yesNo() kind[bool, bool] {
	k := choice("yes", "no")
	k.json = asIs[bool]
	return k
}

// count is a number up to most; zero is the text for 0.
func count(most int, zero string) kind[int, int] {
	return kind[int, int]{
		text: func(n int) string { return number(n, zero) }, parse: parseNumber, store: same[int], load: assign[int],
		json: asIs[int], number: true,
		check: func(n int) error {
			if n < 0 || n > most {
				return fmt.Errorf("%d is not between 0 and %d", n, most)
			}
			return nil
		},
	}
}

// seconds is a duration that is a number of seconds in a form.
func seconds() kind[time.Duration, int64] {
	k := duration
	k.typed = func(d time.Duration) string { return strconv.FormatInt(storeSeconds(d), 10) }
	return k
}

// quantity is a number that may have a unit such as k or M. It is 0, or from least to most.
func quantity(least, most uint64, unit string) kind[uint64, int64] {
	return kind[uint64, int64]{
		text: size, parse: parseSize, store: storeAmount, load: loadAmount, json: asIs[uint64],
		check: func(n uint64) error {
			if n != 0 && n < least || n > most {
				return fmt.Errorf("%d %s is not 0 (unlimited), or between %d and %d", n, unit, least, most)
			}
			return nil
		},
	}
}
