package usermgmt

import "context"

type providedKey struct{}

// Provided has Remove and Unlock, called with the context, act only if holds gives no error for each of the
// users as it is stored. Holds must not use the Table.
func Provided(ctx context.Context, holds func(*Profile) error) context.Context {
	return context.WithValue(ctx, providedKey{}, holds)
}

// Condition is what Provided has asked for; nil: nothing. A Table uses it.
func Condition(ctx context.Context) func(*Profile) error {
	holds, _ := ctx.Value(providedKey{}).(func(*Profile) error)
	return holds
}
