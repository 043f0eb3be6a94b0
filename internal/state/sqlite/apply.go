package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"vpnd/usermgmt"
)

// errDryRun rolls a transaction back.
var errDryRun = errors.New("dry run")

// Apply implements usermgmt.Table.
func (s *Store) Apply(ctx context.Context, edits []usermgmt.Edit, how usermgmt.How) ([]usermgmt.Outcome, error) {
	var outcomes []usermgmt.Outcome
	err := s.change(ctx, func(tx *sql.Tx, made *usermgmt.Change) error {
		var err error
		outcomes, err = s.apply(ctx, tx, made, edits, how)
		switch {
		case err != nil:
			return err
		case how.DryRun:
			return errDryRun
		case slices.ContainsFunc(outcomes, func(o usermgmt.Outcome) bool { return o.Event == usermgmt.Changed }):
			return s.forgetUsers(ctx, tx)
		}
		return nil
	})
	if err != nil && !errors.Is(err, errDryRun) {
		return nil, err
	}
	return outcomes, nil
}

// Add implements usermgmt.Table.
func (s *Store) Add(ctx context.Context, p usermgmt.Profile) error {
	return s.applyOne(ctx, p.Name, func(to *usermgmt.Profile) error { *to = p; return nil }, usermgmt.How{Add: true})
}

// Update implements usermgmt.Table.
func (s *Store) Update(ctx context.Context, name string, change func(*usermgmt.Profile) error) error {
	return s.applyOne(ctx, name, change, usermgmt.How{Change: true})
}

func (s *Store) applyOne(ctx context.Context, name string, change func(*usermgmt.Profile) error, how usermgmt.How) error {
	_, err := s.Apply(ctx, []usermgmt.Edit{{Name: name, Change: change}}, how)
	if e := (*usermgmt.EditError)(nil); errors.As(err, &e) {
		return e.Err
	}
	return err
}

// draft is an Edit under way.
type draft struct {
	edit  *usermgmt.Edit
	old   usermgmt.Profile
	known bool // old is stored
	p     usermgmt.Profile
	out   *usermgmt.Outcome
}

// comesTo fills in the outcome, and reports whether the edit changes anything.
func (d *draft) comesTo(out *usermgmt.Outcome) bool {
	d.out = out
	out.Name, out.Profile = d.p.Name, d.p
	if !d.known {
		out.Event = usermgmt.Added
		return true
	}
	if out.Fields = usermgmt.Differences(&d.old, &d.p); out.Fields == "" {
		return false
	}
	out.Event = usermgmt.Changed
	return true
}

func (s *Store) apply(ctx context.Context, tx *sql.Tx, made *usermgmt.Change, edits []usermgmt.Edit, how usermgmt.How) ([]usermgmt.Outcome, error) {
	outcomes := make([]usermgmt.Outcome, len(edits))
	drafts := make([]draft, 0, len(edits))
	seen := map[string]*usermgmt.Edit{}
	var faults []error
	// keep collects the faults of an edit; any other error ends everything.
	keep := func(e *usermgmt.Edit, err error) error {
		rule, change := (*usermgmt.RuleError)(nil), (*changeError)(nil)
		switch {
		case errors.As(err, &change):
			err = change.error
		case !errors.As(err, &rule) && !errors.Is(err, usermgmt.ErrNoUser) && !errors.Is(err, usermgmt.ErrExists):
			return err
		}
		faults = append(faults, &usermgmt.EditError{Name: e.Name, Line: e.Line, Err: err})
		return nil
	}
	for i := range edits {
		e := &edits[i]
		d, err := s.draft(ctx, tx, e, how)
		if first := seen[usermgmt.Fold(e.Name)]; err == nil && first != nil {
			err = &usermgmt.RuleError{Field: "name", Text: fmt.Sprintf("line %d has the same value", first.Line)}
		}
		seen[usermgmt.Fold(e.Name)] = e
		if err != nil {
			if err := keep(e, err); err != nil {
				return nil, err
			}
			continue
		}
		if d.comesTo(&outcomes[i]) {
			drafts = append(drafts, d)
		}
	}
	if how.Prune {
		// First, because a removed user may have the address of a new one.
		removed, err := s.prune(ctx, tx, made, seen)
		if err != nil {
			return nil, err
		}
		outcomes = append(outcomes, removed...)
	}
	if err := s.putAll(ctx, tx, drafts, keep); err != nil {
		return nil, err
	}
	for _, d := range drafts {
		d.out.Profile = d.p // with its index
		made.Stored = append(made.Stored, d.p)
	}
	return outcomes, errors.Join(faults...)
}

// prune removes all users except those to keep, by their folded names. If there are none to keep,
// it refuses: an empty file is probably a mistake.
func (s *Store) prune(ctx context.Context, tx *sql.Tx, made *usermgmt.Change, keep map[string]*usermgmt.Edit) ([]usermgmt.Outcome, error) {
	if len(keep) == 0 {
		return nil, &usermgmt.RuleError{Field: "name", Text: "the list is empty: vpnd does not remove all users at once"}
	}
	all, err := allNames(ctx, tx)
	if err != nil {
		return nil, err
	}
	names := slices.DeleteFunc(all, func(name string) bool { return keep[usermgmt.Fold(name)] != nil })
	outcomes := make([]usermgmt.Outcome, len(names))
	for i, name := range names {
		outcomes[i] = usermgmt.Outcome{Name: name, Event: usermgmt.Removed}
	}
	return outcomes, s.remove(ctx, tx, made, names)
}

func allNames(ctx context.Context, q querier) (names []string, err error) {
	rows, err := q.QueryContext(ctx, `SELECT name FROM users ORDER BY fold`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, rows.Err()
}

// changeError is an error from an Edit's Change, not from the Store.
type changeError struct{ error }

// draft makes the profile that e describes, and checks the rules that do not involve other users.
func (s *Store) draft(ctx context.Context, tx *sql.Tx, e *usermgmt.Edit, how usermgmt.How) (draft, error) {
	old, err := s.get(ctx, tx, s.stmts.user, e.Name)
	known := err == nil
	switch {
	case known && !how.Change:
		return draft{}, fmt.Errorf("%s: %w", old.Name, usermgmt.ErrExists)
	case !known && (!errors.Is(err, usermgmt.ErrNoUser) || !how.Add):
		return draft{}, err
	case !known:
		old = usermgmt.New(e.Name)
	}
	d := draft{edit: e, old: old, known: known, p: old}
	if err := e.Change(&d.p); err != nil {
		return d, &changeError{err}
	}
	if d.p.Name != old.Name {
		return d, &usermgmt.RuleError{Field: "name", Text: "cannot be changed: add a user with the new name and remove " + old.Name}
	}
	d.p.Clean()
	if d.p.Index == 0 {
		d.p.Index = old.Index // a new user's is still 0
	}
	return d, d.p.Check()
}

// putAll stores drafts: first those that name their index, then the others with the lowest free
// indexes.
func (s *Store) putAll(ctx context.Context, tx *sql.Tx, drafts []draft, keep func(*usermgmt.Edit, error) error) error {
	for _, d := range drafts {
		if !d.known || d.p.Index == d.old.Index && d.p.Address == d.old.Address {
			continue
		}
		// This frees the old indexes and addresses for the users who take them.
		if _, err := tx.ExecContext(ctx, `UPDATE users SET idx = -idx, address = NULL WHERE fold = ?`, usermgmt.Fold(d.p.Name)); err != nil {
			return err
		}
	}
	var unnumbered []*draft
	for i := range drafts {
		d := &drafts[i]
		if d.p.Index == 0 {
			unnumbered = append(unnumbered, d)
		} else if err := s.putDraft(ctx, tx, d, keep); err != nil {
			return err
		}
	}
	free, err := freeIndexes(ctx, tx, len(unnumbered))
	if err != nil {
		return err
	}
	for i, d := range unnumbered {
		d.p.Index = free[i]
		if err := s.putDraft(ctx, tx, d, keep); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) putDraft(ctx context.Context, tx *sql.Tx, d *draft, keep func(*usermgmt.Edit, error) error) error {
	if pool := d.p.Pool; pool != "" && pool != d.old.Pool && s.opts.CheckPool != nil {
		if err := s.opts.CheckPool(pool); err != nil {
			return keep(d.edit, &usermgmt.RuleError{Field: "pool", Text: err.Error()})
		}
	}
	if err := s.put(ctx, tx, &d.p); err != nil {
		return keep(d.edit, err)
	}
	if d.p.MOTPSecret != d.old.MOTPSecret || d.p.TOTPSecret != d.old.TOTPSecret {
		// Another token has another clock.
		if _, err := tx.ExecContext(ctx, `UPDATE ledger SET step_offset = 0, step_centre = 0 WHERE fold = ?`, usermgmt.Fold(d.p.Name)); err != nil {
			return err
		}
	}
	what := ""
	if d.known {
		what = usermgmt.Changes(&d.old, &d.p)
	}
	return s.recordChange(ctx, tx, d.out.Event, d.p.Name, what)
}

// freeIndexes gives the n lowest free indexes.
func freeIndexes(ctx context.Context, tx *sql.Tx, n int) ([]int, error) {
	if n == 0 {
		return nil, nil
	}
	rows, err := tx.QueryContext(ctx, `SELECT idx FROM users WHERE idx > 0 ORDER BY idx`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	free := make([]int, 0, n)
	next := 1
	for len(free) < n && rows.Next() {
		var taken int
		if err := rows.Scan(&taken); err != nil {
			return nil, err
		}
		for ; next < taken && len(free) < n; next++ {
			free = append(free, next)
		}
		next = taken + 1
	}
	for ; len(free) < n; next++ {
		free = append(free, next)
	}
	return free, rows.Err()
}
