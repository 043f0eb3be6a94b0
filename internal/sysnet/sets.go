package sysnet

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"vpnd/internal/fault"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

const (
	usersSet    = "vpnd_users"
	groupPrefix = "vpnd_group_"
	maxSets     = 1000
	// atOnce is how many elements go into one message.
	atOnce = 500
)

// setList is the part of the list of changes about the sets.
type setList struct {
	Table string   `json:"table"` // in the form of ParseTable
	Names []string `json:"names"` // of the sets that have held our elements
	Made  []string `json:"made"`  // of those that we have made
}

// sets are nftables sets of users' addresses, in a table of the administrator, so that its rules
// can refer to them. Nothing else in the table is touched.
type sets struct {
	conn    *nftables.Conn
	table   *nftables.Table
	members map[string]map[netip.Addr]bool // by the name of the set
}

var errNoTable = errors.New("there is no nftables table")

// families are the families of tables in which rules see the IPv4 packets of several users.
var families = map[string]nftables.TableFamily{"ip": nftables.TableFamilyIPv4, "inet": nftables.TableFamilyINet}

// findNamed finds the table of a name such as "inet filter".
func findNamed(conn *nftables.Conn, name string) (*nftables.Table, error) {
	family, name, _ := strings.Cut(name, " ")
	tables, err := conn.ListTablesOfFamily(families[family])
	if err != nil {
		return nil, unlisted(err)
	}
	for _, t := range tables {
		if t.Name == name {
			return t, nil
		}
	}
	table := family + " " + name
	return nil, &fault.Error{
		Wrong: fmt.Sprintf("%v %s", errNoTable, table), Fix: "first load the rules that define it, or run nft add table " + table, Err: errNoTable,
	}
}

// CanKeepSets reports why this system cannot have sets in the table.
func CanKeepSets(table string) error {
	_, err := findNamed(&nftables.Conn{}, table)
	return err
}

// keepSets makes the empty set of all users.
func (c *Changes) keepSets(cfg Config) error {
	if cfg.Sets == "" {
		return nil
	}
	conn, err := nftables.New(nftables.AsLasting())
	if err != nil {
		return fmt.Errorf("network.nftables_table: %w", err)
	}
	c.sets = &sets{conn: conn, members: map[string]map[netip.Addr]bool{}}
	if c.sets.table, err = findNamed(conn, cfg.Sets); err != nil {
		return fmt.Errorf("network.nftables_table: %w", err)
	}
	c.list.Sets = &setList{Table: cfg.Sets}
	return c.makeSet(usersSet)
}

// makeSet makes an empty set, after it has put its name on the list.
func (c *Changes) makeSet(name string) error {
	if len(c.sets.members) >= maxSets {
		return fmt.Errorf("network.nftables_table: more than %d sets", maxSets)
	}
	set, err := c.sets.conn.GetSetByName(c.sets.table, name)
	if err == nil && (set.KeyType.GetNFTMagic() != nftables.TypeIPAddr.GetNFTMagic() || set.Interval || set.IsMap) {
		return fault.New(fmt.Sprintf("network.nftables_table: set %s is not one of type ipv4_addr without flags", name), "correct its definition")
	}
	l := c.list.Sets
	if !slices.Contains(l.Names, name) {
		l.Names = append(l.Names, name)
	}
	if err != nil && !slices.Contains(l.Made, name) {
		l.Made = append(l.Made, name)
	}
	if err := c.save(); err != nil {
		return err
	}
	c.sets.members[name] = map[netip.Addr]bool{}
	return c.fill(name)
}

// fill gives the set its members and nothing else.
func (c *Changes) fill(name string) error {
	conn := c.sets.conn
	set := c.sets.set(name)
	if err := conn.AddSet(set, nil); err != nil {
		return err
	}
	conn.FlushSet(set)
	for chunk := range slices.Chunk(slices.Collect(maps.Keys(c.sets.members[name])), atOnce) {
		if err := conn.SetAddElements(set, elements(chunk...)); err != nil {
			return err
		}
	}
	if err := conn.Flush(); err != nil {
		return fmt.Errorf("nftables set %s: %w", name, err)
	}
	return nil
}

func (s *sets) set(name string) *nftables.Set {
	return &nftables.Set{Table: s.table, Name: name, KeyType: nftables.TypeIPAddr}
}

func elements(addrs ...netip.Addr) []nftables.SetElement {
	all := make([]nftables.SetElement, len(addrs))
	for i, a := range addrs {
		all[i].Key = a.AsSlice()
	}
	return all
}

// Enter puts the address of a connection into the sets: that of all users, that of the group if
// there is one, and of no other group. After an error the address is as before, or in fewer sets.
// It does nothing without sets.
func (c *Changes) Enter(addr netip.Addr, group string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sets == nil {
		return nil
	}
	for name, members := range c.sets.members { // addresses that could not be removed earlier
		if members[addr] && name != usersSet && name != groupPrefix+group {
			if err := c.leave(name, addr); err != nil {
				return err
			}
		}
	}
	var entered []string
	for _, name := range []string{usersSet, groupPrefix + group} {
		if name == groupPrefix {
			break
		}
		if !c.sets.members[name][addr] {
			entered = append(entered, name)
		}
		if err := c.enter(name, addr); err != nil {
			for _, name := range entered {
				err = errors.Join(err, c.leave(name, addr))
			}
			return err
		}
	}
	return nil
}

// Leave undoes Enter.
func (c *Changes) Leave(addr netip.Addr, group string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sets == nil {
		return nil
	}
	err := c.leave(usersSet, addr)
	if group != "" {
		err = errors.Join(err, c.leave(groupPrefix+group, addr))
	}
	return err
}

// Regroup moves the address of a connection from the set of one group to that of another. After an
// error it is in at most one of them.
func (c *Changes) Regroup(addr netip.Addr, from, to string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sets == nil {
		return nil
	}
	var err error
	if from != "" {
		err = c.leave(groupPrefix+from, addr)
	}
	if to != "" && err == nil {
		err = errors.Join(err, c.enter(groupPrefix+to, addr))
	}
	return err
}

// RestoreSets fills the sets again, because all rules may have been reloaded.
func (c *Changes) RestoreSets() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sets == nil {
		return nil
	}
	return c.restore()
}

func (c *Changes) restore() error {
	var errs []error
	for name := range c.sets.members {
		errs = append(errs, c.fill(name))
	}
	return errors.Join(errs...)
}

func (c *Changes) enter(name string, addr netip.Addr) error {
	if _, ok := c.sets.members[name]; !ok {
		if err := c.makeSet(name); err != nil {
			return err
		}
	}
	c.sets.members[name][addr] = true
	err := c.sets.conn.SetAddElements(c.sets.set(name), elements(addr))
	// ENOENT: all rules were reloaded.
	if err = errors.Join(err, c.sets.conn.Flush()); errors.Is(err, unix.ENOENT) {
		if _, gone := findNamed(c.sets.conn, c.list.Sets.Table); gone != nil {
			return gone
		}
		return c.restore()
	}
	return err
}

// leave takes an address out of a set. An address that may still be in there counts as a member.
func (c *Changes) leave(name string, addr netip.Addr) error {
	if !c.sets.members[name][addr] {
		return nil
	}
	delete(c.sets.members[name], addr)
	err := c.sets.conn.SetDeleteElements(c.sets.set(name), elements(addr))
	if err = errors.Join(err, c.sets.conn.Flush()); errors.Is(err, unix.ENOENT) {
		if _, gone := findNamed(c.sets.conn, c.list.Sets.Table); errors.Is(gone, errNoTable) {
			return nil
		}
		err = c.restore()
	}
	if err != nil {
		c.sets.members[name][addr] = true
	}
	return err
}

// removeSets empties the sets of a list, and removes those that it made and that no rule refers to.
func removeSets(l *setList) error {
	conn := &nftables.Conn{}
	table, err := findNamed(conn, l.Table)
	if err != nil {
		return nil //nolint:nilerr // the sets went with it
	}
	var errs []error
	for _, name := range l.Names {
		set, err := conn.GetSetByName(table, name)
		if err != nil { // the set is gone
			continue
		}
		conn.FlushSet(set)
		if err := conn.Flush(); err != nil {
			errs = append(errs, fmt.Errorf("nftables set %s: %w", name, err))
			continue
		}
		if !slices.Contains(l.Made, name) {
			continue
		}
		conn.DelSet(set)
		if err := conn.Flush(); err != nil && !errors.Is(err, unix.EBUSY) {
			errs = append(errs, fmt.Errorf("nftables set %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}
