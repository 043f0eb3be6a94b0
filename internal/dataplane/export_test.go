package dataplane

import (
	"vpnd/internal/link"
	"vpnd/internal/pktbuf"
)

// Outbound is what Run does with each packet.
func Outbound(p *Plane, b *pktbuf.Buf, out *link.Batch) { p.outbound(b, out) }
