package motp

import "iter"

// Outwards yields each step from first to last once: centre, or what of the range is nearest to it,
// and from there outwards, the later of two first.
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
