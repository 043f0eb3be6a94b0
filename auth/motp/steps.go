package motp

import "iter"

// Outwards yields each step from first to last once. It begins at centre, or at the nearest step of
// the range, and goes outwards, with the later one of two steps first.
func Outwards(centre, first, last int64) iter.Seq[int64] {
	centre = min(max(centre, first), last)
	return func(yield func(int64) bool) {
		for d := int64(0); centre+d <= last || centre-d >= first; d++ {
			if centre+d <= last && !yield(centre+d) {
				return
			}
			if d > 0 && centre-d >= first && !yield(centre-d) {
				return
			}
		}
	}
}
