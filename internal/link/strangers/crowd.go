package strangers

import (
	"container/heap"
	"container/list"
	"net/netip"
)

// crowd holds the strangers of one kind, by their address.
type crowd[T comparable] struct {
	places  map[T]*list.Element // each one's element in the waiting list of its source
	sources map[netip.Addr]*source[T]
	order   order[T]
	entered uint64
}

// source is an address with its strangers, oldest first.
type source[T comparable] struct {
	addr    netip.Addr
	waiting list.List
	at      int // in crowd.order
}

type place[T comparable] struct {
	who    T
	of     *source[T]
	number uint64
}

func (s *source[T]) first() place[T] { return placeOf[T](s.waiting.Front()) }

func placeOf[T comparable](e *list.Element) place[T] {
	p, _ := e.Value.(place[T])
	return p
}

func newCrowd[T comparable]() crowd[T] {
	return crowd[T]{places: map[T]*list.Element{}, sources: map[netip.Addr]*source[T]{}}
}

// enter adds who. If this exceeds a limit, it removes and returns a victim: the oldest one of the
// same address, or of the address with the most.
func (c *crowd[T]) enter(who T, from netip.Addr, l Limits) (victim T, over bool) {
	if _, in := c.places[who]; in {
		return victim, false
	}
	s, known := c.sources[from]
	if !known {
		s = &source[T]{addr: from}
		c.sources[from] = s
	}
	c.entered++
	c.places[who] = s.waiting.PushBack(place[T]{who, s, c.entered})
	if known {
		heap.Fix(&c.order, s.at)
	} else {
		heap.Push(&c.order, s)
	}
	switch {
	case s.waiting.Len() > l.PerSource:
		victim = s.first().who
	case len(c.places) > l.Total:
		victim = c.order[0].first().who
	default:
		return victim, false
	}
	c.leave(victim)
	return victim, true
}

// leave removes who, and reports whether it was there.
func (c *crowd[T]) leave(who T) bool {
	e, in := c.places[who]
	if !in {
		return false
	}
	delete(c.places, who)
	s := placeOf[T](e).of
	s.waiting.Remove(e)
	if s.waiting.Len() > 0 {
		heap.Fix(&c.order, s.at)
		return true
	}
	heap.Remove(&c.order, s.at)
	delete(c.sources, s.addr)
	return true
}

// order is a heap. The source with the most comes first. Of equals, the one that has waited longest
// comes first.
type order[T comparable] []*source[T]

func (o order[T]) Len() int { return len(o) }

func (o order[T]) Less(i, j int) bool {
	a, b := o[i], o[j]
	if a.waiting.Len() != b.waiting.Len() {
		return a.waiting.Len() > b.waiting.Len()
	}
	return a.first().number < b.first().number
}

func (o order[T]) Swap(i, j int) {
	o[i], o[j] = o[j], o[i]
	o[i].at, o[j].at = i, j
}

// Push implements heap.Interface.
func (o *order[T]) Push(x any) {
	s, _ := x.(*source[T])
	s.at = len(*o)
	*o = append(*o, s)
}

// Pop implements heap.Interface.
func (o *order[T]) Pop() any {
	last := len(*o) - 1
	s := (*o)[last]
	(*o)[last] = nil
	*o = (*o)[:last]
	return s
}
