package pktbuf_test

import (
	"bytes"
	"testing"
	"vpnd/internal/pktbuf"
)

func TestHeadersAreAddedAndTaken(t *testing.T) {
	b := pktbuf.Get()
	defer b.Release()
	if b.Len() != 0 || len(b.Room()) != pktbuf.Size-pktbuf.Headroom {
		t.Fatalf("%d bytes, room for %d", b.Len(), len(b.Room()))
	}
	b.SetLen(copy(b.Room(), "payload"))
	if !b.Append([]byte(" and more")) {
		t.Fatal("there is no room")
	}
	copy(b.Prepend(4), "head")
	if got := string(b.Bytes()); got != "headpayload and more" {
		t.Errorf("%q", got)
	}
	if got := string(b.TrimFront(4)); got != "payload and more" {
		t.Errorf("%q", got)
	}
	b.SetLen(7)
	if got := string(b.Bytes()); got != "payload" {
		t.Errorf("%q", got)
	}
	b.Reset()
	if b.Len() != 0 || len(b.Room()) != pktbuf.Size-pktbuf.Headroom {
		t.Error("Reset leaves something")
	}
}

func TestBounds(t *testing.T) {
	b := pktbuf.Get()
	defer b.Release()
	if b.Prepend(pktbuf.Headroom+1) != nil || b.Prepend(-1) != nil || b.Len() != 0 {
		t.Error("more headroom than there is")
	}
	if b.Prepend(pktbuf.Headroom) == nil {
		t.Error("less headroom than there is")
	}
	if b.Append(bytes.Repeat([]byte{1}, pktbuf.Size)) {
		t.Error("more than fits is appended")
	}
	b.SetLen(1 << 20)
	if b.Len() != pktbuf.Size {
		t.Errorf("%d bytes", b.Len())
	}
	if got := b.TrimFront(1 << 20); len(got) != 0 || b.Len() != 0 {
		t.Error("more is taken than there is")
	}
	b.SetLen(-5)
	if b.Len() != 0 {
		t.Error("a length below 0")
	}
}

func TestNothingIsAllocated(t *testing.T) {
	if n := testing.AllocsPerRun(1000, func() {
		b := pktbuf.Get()
		b.Append([]byte("x"))
		b.Prepend(16)
		b.Release()
	}); n >= 1 {
		t.Errorf("%v allocations", n)
	}
}
