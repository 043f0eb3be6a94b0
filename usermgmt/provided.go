package usermgmt

import "context"

type providedKey struct{}

// Provided gives a context for Remove and Unlock. With it they act only if holds gives no error for
// each of their users as it is stored. Holds must not use the Table.
func Provided(ctx context.Context, holds func(*Profile) error) context.Context {
	return context.WithValue(ctx, providedKey{}, holds)
}

// Condition is the condition of Provided; nil: there is none. A Table uses it.
func Condition(ctx context.Context) func(*Profile) error {
	holds, _ := ctx.Value(providedKey{}).(func(*Profile) error)
	return holds
}
