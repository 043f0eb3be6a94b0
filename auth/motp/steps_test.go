package motp_test

import (
	"slices"
	"testing"
	"vpnd/auth/motp"
)

func TestOutwards(t *testing.T) {
	for _, c := range []struct {
		centre, first, last int64
		want                []int64
	}{
		{10, 8, 12, []int64{10, 11, 9, 12, 8}},
		{8, 8, 12, []int64{8, 9, 10, 11, 12}},
		{11, 8, 12, []int64{11, 12, 10, 9, 8}},
		{99, 8, 10, []int64{10, 9, 8}},
		{-99, 8, 10, []int64{8, 9, 10}},
		{5, 5, 5, []int64{5}},
	} {
		if got := slices.Collect(motp.Outwards(c.centre, c.first, c.last)); !slices.Equal(got, c.want) {
			t.Errorf("from %d in %d to %d: %v, want %v", c.centre, c.first, c.last, got, c.want)
		}
	}
	for range motp.Outwards(0, -5, 5) {
		break // after an early stop the function is not called again: that would panic
	}
}
