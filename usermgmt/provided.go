package usermgmt

import (
	"context"
)

type providedKey struct{}

// Provided has Remove and Unlock, called with the context, act only if holds gives no error for each of the
// users as it is stored. Holds must not use the Table.
func Provided(ctx context.Context, holds func(*Profile) error) context.Context {
	return context.WithValue(ctx, providedKey{}, holds)
}

// provided asks what Provided has asked for.
func (s *Store) provided(ctx context.Context, q querier, name string) error {
	holds, ok := ctx.Value(providedKey{}).(func(*Profile) error)
	if !ok {
		return nil
	}
	p, _, err := s.get(ctx, q, name)
	if err != nil {
		return err
	}
	return holds(&p)
}
