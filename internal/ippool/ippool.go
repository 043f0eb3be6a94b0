// Package ippool assigns inner addresses to dial-in users, each to one connection at a time. It
// prefers the user's fixed or last address, and never assigns the client's own outer address.
package ippool

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"net/netip"
	"slices"
	"sync"
	"vpnd/internal/reason"
)

// Errors of New and Take. Those of Take are the reasons of refused dial-ins.
var (
	// ErrEmpty means that no address is free.
	ErrEmpty = reason.New(reason.PoolEmpty)
	// ErrTaken means that another connection has the user's fixed address.
	ErrTaken = reason.New(reason.AddressInUse)
	// ErrOutside means that the user's fixed address is not in the pool or is excluded from it.
	ErrOutside = reason.New(reason.AddressOutside)
	// ErrOuter means that the user's fixed address is the outer address of the client.
	ErrOuter = reason.New(reason.AddressIsOuter)
	// ErrRange is an invalid range of IPv4 addresses.
	ErrRange = errors.New("not a range of IPv4 addresses")
)

// Range holds the addresses First to Last, both included.
type Range struct{ First, Last netip.Addr }

// Prefix is the range of p's host addresses. It leaves out the network's own address and the
// broadcast address of a prefix of 30 bits or fewer.
func Prefix(p netip.Prefix) Range {
	if !p.IsValid() || !p.Addr().Is4() {
		return Range{}
	}
	first := number(p.Masked().Addr())
	last := first | uint32(uint64(1)<<(32-p.Bits())-1)
	if p.Bits() <= 30 {
		first, last = first+1, last-1
	}
	return Range{address(first), address(last)}
}

// span is a merged range. base is the index of its first address in the bitmaps.
type span struct {
	first, last uint32
	base        int
}

// Pool is a set of addresses, each free or in use. It is safe for concurrent use.
type Pool struct {
	spans []span // sorted, not adjacent; never changed
	size  int

	mu       sync.Mutex
	closed   []uint64 // bitmap: in use, excluded, or beyond the end
	reserved []uint64 // bitmap: fixed addresses of users
	holders  map[int]string
	next     int // where the search begins, so that a returned address rests for a while
}

// New makes a pool of ranges, which may overlap, without the addresses of exclude.
func New(ranges []Range, exclude ...netip.Addr) (*Pool, error) {
	spans, err := merge(ranges)
	if err != nil {
		return nil, err
	}
	p := &Pool{spans: spans, holders: map[int]string{}}
	for i := range p.spans {
		s := &p.spans[i]
		s.base = p.size
		p.size += int(s.last-s.first) + 1
	}
	words := (p.size + 63) / 64
	p.closed, p.reserved = make([]uint64, words), make([]uint64, words)
	for i := p.size; i < words*64; i++ {
		set(p.closed, i)
	}
	for _, addr := range exclude {
		if i, ok := p.index(addr); ok {
			set(p.closed, i)
		}
	}
	return p, nil
}

func merge(ranges []Range) ([]span, error) {
	var spans []span
	for _, r := range ranges {
		if !r.First.Is4() || !r.Last.Is4() || r.Last.Less(r.First) {
			return nil, fmt.Errorf("%s-%s: %w", r.First, r.Last, ErrRange)
		}
		spans = append(spans, span{first: number(r.First), last: number(r.Last)})
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.first, b.first) })
	merged := spans[:0]
	for _, s := range spans {
		if n := len(merged); n > 0 && uint64(s.first) <= uint64(merged[n-1].last)+1 {
			merged[n-1].last = max(merged[n-1].last, s.last)
			continue
		}
		merged = append(merged, s)
	}
	return merged, nil
}

// Take gives user an address. If fixed is valid, Take returns this address or an error. Otherwise
// it prefers last, if that is free. It never returns outer, the address that the client dials from.
// The errors are ErrEmpty, ErrTaken, ErrOutside or ErrOuter.
func (p *Pool) Take(user string, fixed, last, outer netip.Addr) (netip.Addr, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if fixed.IsValid() {
		return p.takeFixed(user, fixed, outer)
	}
	outside, avoid := p.index(outer)
	if i, ok := p.index(last); ok && (!avoid || i != outside) && !has(p.closed, i) && !has(p.reserved, i) {
		return p.hold(i, user), nil
	}
	if i, ok := p.search(outside, avoid); ok {
		p.next = (i + 1) % p.size
		return p.hold(i, user), nil
	}
	return netip.Addr{}, reason.New(reason.PoolEmpty, len(p.holders))
}

// search finds the first free address from p.next on and wraps around at the end. It looks at the
// word of p.next twice: first at its upper bits, last at its lower bits.
func (p *Pool) search(outside int, avoid bool) (int, bool) {
	words := len(p.closed)
	if words == 0 {
		return 0, false
	}
	for n := range words + 1 {
		w := (p.next/64 + n) % words
		busy := p.closed[w] | p.reserved[w]
		if avoid && outside/64 == w {
			busy |= 1 << (outside % 64)
		}
		switch n {
		case 0:
			busy |= 1<<(p.next%64) - 1
		case words:
			busy |= ^uint64(1<<(p.next%64) - 1)
		}
		if busy != ^uint64(0) {
			return w*64 + bits.TrailingZeros64(^busy), true
		}
	}
	return 0, false
}

func (p *Pool) takeFixed(user string, fixed, outer netip.Addr) (netip.Addr, error) {
	i, ok := p.index(fixed)
	if !ok {
		return netip.Addr{}, reason.New(reason.AddressOutside, fixed)
	}
	if fixed == outer {
		return netip.Addr{}, reason.New(reason.AddressIsOuter, fixed)
	}
	if !has(p.closed, i) {
		return p.hold(i, user), nil
	}
	if holder, ok := p.holders[i]; ok {
		return netip.Addr{}, reason.New(reason.AddressInUse, fixed, holder)
	}
	return netip.Addr{}, reason.New(reason.AddressOutside, fixed)
}

func (p *Pool) hold(i int, user string) netip.Addr {
	set(p.closed, i)
	p.holders[i] = user
	return p.address(i)
}

// Adopt makes user the holder of an address that a connection already has and that this pool does
// not know yet. It ignores an address outside the pool.
func (p *Pool) Adopt(user string, addr netip.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i, ok := p.index(addr); ok {
		p.hold(i, user)
	}
}

// Give returns an address that Take gave. It ignores any other address.
func (p *Pool) Give(addr netip.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i, ok := p.index(addr)
	if _, held := p.holders[i]; ok && held {
		delete(p.holders, i)
		p.closed[i/64] &^= 1 << (i % 64)
	}
}

// Reserve sets the fixed addresses of users. Only a user with such a fixed address gets it. The
// list replaces the previous one. Connections keep their addresses.
func (p *Pool) Reserve(fixed []netip.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.reserved)
	for _, addr := range fixed {
		if i, ok := p.index(addr); ok {
			set(p.reserved, i)
		}
	}
}

// Contains reports whether addr is in one of the pool's ranges, excluded or not.
func (p *Pool) Contains(addr netip.Addr) bool {
	_, ok := p.index(addr)
	return ok
}

// InUse is the number of addresses that connections hold.
func (p *Pool) InUse() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.holders)
}

// Size is the number of addresses of all ranges, including excluded ones.
func (p *Pool) Size() int { return p.size }

func (p *Pool) index(addr netip.Addr) (int, bool) {
	if !addr.Is4() {
		return 0, false
	}
	a := number(addr)
	n, found := slices.BinarySearchFunc(p.spans, a, func(s span, a uint32) int {
		switch {
		case s.last < a:
			return -1
		case s.first > a:
			return 1
		}
		return 0
	})
	if !found {
		return 0, false
	}
	return p.spans[n].base + int(a-p.spans[n].first), true
}

func (p *Pool) address(i int) netip.Addr {
	n, found := slices.BinarySearchFunc(p.spans, i, func(s span, i int) int { return cmp.Compare(s.base, i) })
	if !found {
		n--
	}
	return address(p.spans[n].first + uint32(i-p.spans[n].base))
}

func number(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

func address(n uint32) netip.Addr {
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, n)))
}

func has(m []uint64, i int) bool { return m[i/64]&(1<<(i%64)) != 0 }

func set(m []uint64, i int) { m[i/64] |= 1 << (i % 64) }
