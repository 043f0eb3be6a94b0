package usermgmt

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
)

// Edit is what one user is to become.
type Edit struct {
	Name   string
	Line   int                  // of the file that says so; 0: none
	Change func(*Profile) error // makes it of the stored profile, or of New; must not use the Table
}

// How says what Apply may do.
type How struct {
	Add    bool // users that are not there are added; else they are ErrNoUser
	Change bool // users that are there are changed; else they are ErrExists
	Prune  bool // users that no Edit names are removed
	DryRun bool // nothing is stored
}

// Outcome is what became of an Edit.
type Outcome struct {
	Name   string
	Event  string // EventAdded, EventChanged or EventRemoved; "": the user is as the Edit wants it already
	Fields string // of EventChanged, the names of the fields
}

// EditError is an Edit that cannot be made.
type EditError struct {
	Name string
	Line int
	Err  error // may join several, such as RuleErrors
}

// Error writes the user's name before the fault.
func (e *EditError) Error() string {
	if CheckName(e.Name) != nil {
		return fmt.Sprintf("%.64q: %v", e.Name, e.Err)
	}
	return e.Name + ": " + e.Err.Error()
}

// Unwrap gives the fault.
func (e *EditError) Unwrap() error { return e.Err }

// errDryRun takes a transaction back.
var errDryRun = errors.New("dry run")

// Apply implements Table.
func (s *Store) Apply(ctx context.Context, edits []Edit, how How) ([]Outcome, error) {
	var outcomes []Outcome
	err := s.change(ctx, func(tx *sql.Tx) error {
		var err error
		outcomes, err = s.apply(ctx, tx, edits, how)
		switch {
		case err != nil:
			return err
		case how.DryRun:
			return errDryRun
		case slices.ContainsFunc(outcomes, func(o Outcome) bool { return o.Event == EventChanged }):
			return s.forget(ctx, tx, "users")
		}
		return nil
	})
	if err != nil && !errors.Is(err, errDryRun) {
		return nil, err
	}
	return outcomes, nil
}

// Add implements Table.
func (s *Store) Add(ctx context.Context, p Profile) error {
	return s.applyOne(ctx, p.Name, func(to *Profile) error { *to = p; return nil }, How{Add: true})
}

// Update implements Table.
func (s *Store) Update(ctx context.Context, name string, change func(*Profile) error) error {
	return s.applyOne(ctx, name, change, How{Change: true})
}

func (s *Store) applyOne(ctx context.Context, name string, change func(*Profile) error, how How) error {
	_, err := s.Apply(ctx, []Edit{{Name: name, Change: change}}, how)
	if e := (*EditError)(nil); errors.As(err, &e) {
		return e.Err
	}
	return err
}

// draft is an Edit under way.
type draft struct {
	edit  *Edit
	old   Profile
	known bool // old is stored
	p     Profile
	out   *Outcome
}

func (s *Store) apply(ctx context.Context, tx *sql.Tx, edits []Edit, how How) ([]Outcome, error) {
	outcomes := make([]Outcome, len(edits))
	drafts := make([]draft, 0, len(edits))
	seen := map[string]*Edit{}
	var faults []error
	// keep gathers what is wrong with an edit; any other error ends all.
	keep := func(e *Edit, err error) error {
		rule, change := (*RuleError)(nil), (*changeError)(nil)
		switch {
		case errors.As(err, &change):
			err = change.error
		case !errors.As(err, &rule) && !errors.Is(err, ErrNoUser) && !errors.Is(err, ErrExists):
			return err
		}
		faults = append(faults, &EditError{e.Name, e.Line, err})
		return nil
	}
	for i := range edits {
		e := &edits[i]
		d, err := s.draft(ctx, tx, e, how)
		if first := seen[fold(e.Name)]; err == nil && first != nil {
			err = &RuleError{"name", fmt.Sprintf("line %d has it, too", first.Line)}
		}
		seen[fold(e.Name)] = e
		if err != nil {
			if err := keep(e, err); err != nil {
				return nil, err
			}
			continue
		}
		outcomes[i].Name = d.p.Name
		d.out = &outcomes[i]
		if fields := differences(&d.old, &d.p); !d.known || fields != "" {
			d.out.Event, d.out.Fields = EventChanged, fields
			if !d.known {
				d.out.Event, d.out.Fields = EventAdded, ""
			}
			drafts = append(drafts, d)
		}
	}
	if how.Prune {
		// First: a user that goes may have the address of one that comes.
		removed, err := s.prune(ctx, tx, seen)
		if err != nil {
			return nil, err
		}
		outcomes = append(outcomes, removed...)
	}
	if err := s.putAll(ctx, tx, drafts, keep); err != nil {
		return nil, err
	}
	return outcomes, errors.Join(faults...)
}

// prune removes all users but those to keep, by their folded names. With none to keep it refuses: an
// empty file is more likely a mistake than a wish.
func (s *Store) prune(ctx context.Context, tx *sql.Tx, keep map[string]*Edit) ([]Outcome, error) {
	if len(keep) == 0 {
		return nil, &RuleError{"name", "there is no user to keep: an empty list does not remove all users"}
	}
	all, err := allNames(ctx, tx)
	if err != nil {
		return nil, err
	}
	names := slices.DeleteFunc(all, func(name string) bool { return keep[fold(name)] != nil })
	outcomes := make([]Outcome, len(names))
	for i, name := range names {
		outcomes[i] = Outcome{Name: name, Event: EventRemoved}
	}
	return outcomes, s.remove(ctx, tx, names)
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

// changeError is an error of an Edit's Change, and not of the Store.
type changeError struct{ error }

// draft makes the profile that e wants, and holds it against the rules that need no look at others.
func (s *Store) draft(ctx context.Context, tx *sql.Tx, e *Edit, how How) (draft, error) {
	old, _, err := s.get(ctx, tx, e.Name)
	known := err == nil
	switch {
	case known && !how.Change:
		return draft{}, fmt.Errorf("%s: %w", old.Name, ErrExists)
	case !known && (!errors.Is(err, ErrNoUser) || !how.Add):
		return draft{}, err
	case !known:
		old = New(e.Name)
	}
	d := draft{edit: e, old: old, known: known, p: old}
	if err := e.Change(&d.p); err != nil {
		return d, &changeError{err}
	}
	if d.p.Name != old.Name {
		return d, &RuleError{"name", "cannot be changed: add a user of the new name and remove " + old.Name}
	}
	d.p.clean()
	if d.p.Index == 0 {
		d.p.Index = old.Index // a new user's is 0 still
	}
	return d, d.p.check()
}

// putAll stores drafts: first those that name their index, then the others with the lowest that are free.
func (s *Store) putAll(ctx context.Context, tx *sql.Tx, drafts []draft, keep func(*Edit, error) error) error {
	for _, d := range drafts {
		if !d.known || d.p.Index == d.old.Index && d.p.Address == d.old.Address {
			continue
		}
		// Out of the way of those who take them.
		if _, err := tx.ExecContext(ctx, `UPDATE users SET idx = -idx, address = NULL WHERE fold = ?`, fold(d.p.Name)); err != nil {
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

func (s *Store) putDraft(ctx context.Context, tx *sql.Tx, d *draft, keep func(*Edit, error) error) error {
	if pool := d.p.Pool; pool != "" && pool != d.old.Pool && s.opts.CheckPool != nil {
		if err := s.opts.CheckPool(pool); err != nil {
			return keep(d.edit, &RuleError{"pool", err.Error()})
		}
	}
	if err := s.put(ctx, tx, &d.p); err != nil {
		return keep(d.edit, err)
	}
	if d.p.MOTPSecret != d.old.MOTPSecret || d.p.TOTPSecret != d.old.TOTPSecret {
		// Another token has another clock.
		if _, err := tx.ExecContext(ctx, `UPDATE ledger SET step_offset = 0, step_centre = 0 WHERE fold = ?`, fold(d.p.Name)); err != nil {
			return err
		}
	}
	what := ""
	if d.known {
		what = changes(&d.old, &d.p)
	}
	return s.recordChange(ctx, tx, d.out.Event, d.p.Name, what)
}

// freeIndexes gives the n lowest indexes that nobody has.
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
