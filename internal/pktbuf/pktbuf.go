// Package pktbuf is the packet buffer that travels from a socket to the TUN device and back. It is
// a fixed array with room in front, so that each layer can put its header before the payload
// without a copy. Buffers come from a pool without a lock that all sessions share.
package pktbuf

import "sync"

const (
	// Size is the size of one buffer in bytes, headroom included. The socket cuts a longer
	// datagram, and its reader drops it.
	Size = 2048
	// Headroom is the free room in bytes in front of the payload of a buffer from Get. It is enough
	// for PPP, MPPE and the longest carrier header.
	Headroom = 128
)

// Buf is one packet. It has one owner at a time, which either passes it on or calls Release. A
// function that receives a Buf owns it from then on. A function that may leave the Buf to its
// caller says so, and reports by true or by a nil error that it has taken the Buf. The zero value
// is not usable: call Get.
type Buf struct {
	off, end int
	store    [Size]byte
}

var pool = sync.Pool{New: func() any { return new(Buf) }}

// Get returns an empty buffer with Headroom bytes of room in front.
func Get() *Buf {
	b := pool.Get().(*Buf)
	b.Reset()
	return b
}

// Reset makes b what Get returns: empty, with all its headroom.
func (b *Buf) Reset() { b.off, b.end = Headroom, Headroom }

// Release gives the buffer back. The caller must not use b or a slice of it afterwards.
func (b *Buf) Release() { pool.Put(b) }

// Bytes is the payload, valid until Release.
func (b *Buf) Bytes() []byte { return b.store[b.off:b.end] }

// Len is the length of the payload in bytes.
func (b *Buf) Len() int { return b.end - b.off }

// Room is all the space from the start of the payload to the end of the buffer, for reading into.
// SetLen then says how many bytes were read.
func (b *Buf) Room() []byte { return b.store[b.off:] }

// SetLen sets the payload's length to n bytes from its present start. An n over len(Room()) is cut.
func (b *Buf) SetLen(n int) { b.end = min(b.off+max(n, 0), Size) }

// Append copies p behind the payload, and reports whether it fitted. If it did not fit, nothing
// changes.
func (b *Buf) Append(p []byte) bool {
	if len(p) > Size-b.end {
		return false
	}
	b.end += copy(b.store[b.end:], p)
	return true
}

// Prepend grows the payload by n bytes to the front and returns it whole. It does not clear the new
// bytes. If the room is used up, it returns nil and changes nothing.
func (b *Buf) Prepend(n int) []byte {
	if n < 0 || n > b.off {
		return nil
	}
	b.off -= n
	return b.store[b.off:b.end]
}

// TrimFront removes n bytes (at most all) from the front and returns the rest.
func (b *Buf) TrimFront(n int) []byte {
	b.off = min(b.off+max(n, 0), b.end)
	return b.store[b.off:b.end]
}
