package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"vpnd/mgmt"
)

// poolPrefix begins the names of a pool's controls, as in mgmt.FieldError.
func poolPrefix(name string) string {
	if name == "" {
		return ""
	}
	return "pools." + name + "."
}

// rangeName is the name of a control of a pool's range. The faults of all ranges belong to the
// first one.
func rangeName(prefix, part string, n int) string {
	if n == 0 {
		return prefix + part
	}
	return prefix + part + "." + strconv.Itoa(n)
}

// poolNames gives the names of all pools; the pool without a name comes first.
func poolNames(p mgmt.PoolSettings) []string {
	names := []string{""}
	for name := range p.Pools {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func poolOf(p mgmt.PoolSettings, name string) mgmt.AddressPool {
	if name == "" {
		return p.AddressPool
	}
	return p.Pools[name]
}

// poolGroups gives the controls of all pools. Each pool has controls for one more range.
func poolGroups(p mgmt.PoolSettings, f *form) []group {
	var groups []group
	for _, name := range poolNames(p) {
		pool, prefix := poolOf(p, name), poolPrefix(name)
		g := group{Legend: "Pool " + name}
		if name == "" {
			g.Legend = "Pool of users without a named pool"
		}
		for i := range len(pool.Ranges) + 1 {
			start := control{Name: rangeName(prefix, "ranges", i), Label: "Start address", Type: "text"}
			size := control{Name: rangeName(prefix, "count", i), Label: "Count", Type: "text", Mode: "numeric"}
			if i < len(pool.Ranges) {
				start.Value, size.Value = pool.Ranges[i].Start.String(), strconv.Itoa(pool.Ranges[i].Count)
			} else {
				start.Label, start.Hint = "Start address of another range", "Empty: none."
				size.Label = "Count of this range"
			}
			g.Controls = append(g.Controls, start, size)
		}
		for _, c := range []control{
			{Name: prefix + "dns", Label: "DNS servers", Value: strings.Join(pool.DNS, ", ")},
			{Name: prefix + "wins", Label: "WINS servers", Value: strings.Join(pool.WINS, ", ")},
		} {
			c.Type, c.Hint = "text", "At most two, separated by a comma."
			g.Controls = append(g.Controls, c)
		}
		g.Controls = f.fill(g.Controls...)
		groups = append(groups, g)
	}
	return groups
}

// words gives the parts of a text between commas and spaces.
func words(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\r' })
}

// readPool reads a pool from a form, and records its faults there.
func readPool(f *form, prefix string) mgmt.AddressPool {
	pool := mgmt.AddressPool{DNS: words(f.values.Get(prefix + "dns")), WINS: words(f.values.Get(prefix + "wins"))}
	for i := 0; f.values.Has(rangeName(prefix, "ranges", i)); i++ {
		first, size := strings.TrimSpace(f.values.Get(rangeName(prefix, "ranges", i))), strings.TrimSpace(f.values.Get(rangeName(prefix, "count", i)))
		if first == "" {
			continue
		}
		start, err := netip.ParseAddr(first)
		if err != nil || !start.Is4() {
			f.wrong(rangeName(prefix, "ranges", i), fmt.Sprintf("%q is not an IPv4 address such as 10.99.0.10", first))
		}
		n, err := strconv.Atoi(size)
		if err != nil || n < 1 {
			f.wrong(rangeName(prefix, "count", i), fmt.Sprintf("%q is not a number of addresses", size))
		}
		pool.Ranges = append(pool.Ranges, mgmt.PoolRange{Start: start, Count: n})
	}
	if len(pool.Ranges) == 0 {
		f.wrong(rangeName(prefix, "ranges", 0), "is missing: a pool needs at least one range")
	}
	return pool
}

// readPools reads all pools from a form, and records their faults there.
func readPools(f *form, now mgmt.PoolSettings) mgmt.PoolSettings {
	to := mgmt.PoolSettings{AddressPool: readPool(f, ""), Pools: map[string]mgmt.AddressPool{}}
	for name := range now.Pools {
		to.Pools[name] = readPool(f, poolPrefix(name))
	}
	return to
}

// errFaulty stops a change if the form has faults.
var errFaulty = errors.New("the form has faults")

// setPools changes the addresses that clients get.
func (p *Pages) setPools(w http.ResponseWriter, r *http.Request) error {
	settings, err := p.settings()
	if err != nil {
		return err
	}
	f := form{values: r.PostForm}
	err = p.cfg.API.ChangePools(r.Context(), asSeen(r), func(now *mgmt.PoolSettings) error {
		*now = readPools(&f, *now)
		if len(f.faults) > 0 {
			return errFaulty
		}
		return nil
	})
	if errors.Is(err, mgmt.ErrChanged) {
		return p.showPPP(w, r, settings, form{}, f, view{Status: http.StatusConflict, Notice: overtaken, Wrong: true})
	}
	if err := f.missed(err); err != nil && !errors.Is(err, errFaulty) {
		return p.showPPP(w, r, settings, form{}, f, view{Status: http.StatusUnprocessableEntity, Notice: "Nothing was changed: " + err.Error(), Wrong: true})
	}
	if len(f.faults) > 0 {
		return p.showPPP(w, r, settings, form{}, f, view{})
	}
	return done(w, r, "/ppp", "The addresses are changed. New connections use them.")
}
