package dial_test

import (
	"bytes"
	"context"
	"net/netip"
	"testing"
	"vpnd/internal/dial"
	"vpnd/internal/link"
	"vpnd/internal/pktbuf"
	"vpnd/internal/reason"
)

// hasty is a carrier whose server sends its first frame before Dial has returned, and sends it
// once. It is also the link.
type hasty struct {
	first []byte
	said  [][]byte // from the client
}

func (h *hasty) Dial(_ context.Context, _ netip.AddrPort, accept link.Accept) (link.Link, error) {
	sink, err := accept(h)
	if err != nil {
		return nil, err
	}
	b := pktbuf.Get()
	b.Append(h.first)
	sink.Frame(b)
	return h, nil
}

func (h *hasty) Send(b *pktbuf.Buf, _ *link.Batch) {
	h.said = append(h.said, bytes.Clone(b.Bytes()))
	b.Release()
}

func (*hasty) Close(reason.Reason) {}
func (*hasty) Info() link.Info     { return link.Info{} }

// nowhere takes no user data. The link does not come up.
type nowhere struct{ dial.Data }

func (nowhere) Inbound(*pktbuf.Buf) bool { return false }
func (nowhere) Received() uint64         { return 0 }

// The server's first LCP Configure-Request may come together with the call. The client must answer
// it, because some servers do not repeat it.
func TestFirstFrameAtOnce(t *testing.T) {
	request := []byte{0xFF, 0x03, 0xC0, 0x21, 1, 77, 0, 10, 5, 6, 0x55, 0x66, 0x77, 0x88}
	carrier := &hasty{first: request}
	var o dial.Options
	o.PPP.User, o.PPP.Password = "a", "b"
	c := dial.New(o.PPP, nowhere{})
	if err := c.Dial(t.Context(), carrier, netip.AddrPort{}, nil); err != nil {
		t.Fatal(err)
	}
	defer c.Down(reason.New(reason.Dropped, "the test is over"))
	ack := bytes.Clone(request)
	ack[4] = 2
	for _, frame := range carrier.said {
		if bytes.Equal(frame, ack) {
			return
		}
	}
	t.Errorf("no Configure-Ack in %x", carrier.said)
}
