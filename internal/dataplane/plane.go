// Package dataplane moves IP packets between the TUN device and the calls, and does nothing else. A
// packet costs no copy, no allocation, and no lock that sessions share.
package dataplane

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"vpnd/internal/link"
	"vpnd/internal/pktbuf"
)

// TUN is the device towards the system.
type TUN interface {
	// ReadBatch waits for a packet and reads all that are ready into bufs. The error is
	// fs.ErrClosed after Close.
	ReadBatch(bufs []*pktbuf.Buf) (int, error)
	// WritePacket passes a packet to the system and does not keep it. It is safe for concurrent
	// use.
	WritePacket(p []byte) error
	// MTU is the MTU of the interface in bytes.
	MTU() int
}

// Cipher encrypts the packets of one direction, in place.
type Cipher interface {
	// Seal encrypts a protocol number with its payload and returns the header for it.
	Seal(p []byte) uint16
	// Reset restarts the stream at the peer's request.
	Reset()
}

// Decipher decrypts the packets of one direction, in place.
type Decipher interface {
	// Open decrypts p, the part after header. After an error, p has no useful content.
	Open(header uint16, p []byte) error
	// KeyChanges is how often Open will change the key for a packet with this header. The peer
	// chooses the number.
	KeyChanges(header uint16) int
	// Waiting reports whether the stream has lost its place and the peer has to restart it.
	Waiting() bool
}

// Config configures a Plane.
type Config struct {
	Local      netip.Addr // the server's inner address
	UserToUser bool       // users can reach each other
}

// Plane connects the ports of all sessions with the TUN device.
type Plane struct {
	tun   TUN
	cfg   Config
	local [4]byte
	drops [numDrops]atomic.Uint64

	keyChanges atomic.Int64 // for a new port

	// ports finds a port by its address: a map of networks of 256 addresses, each with a pointer
	// for each address. The map is copied for a new network, and never shrinks.
	ports  atomic.Pointer[map[uint32]*leaf]
	uplink atomic.Pointer[Port]
	groups atomic.Pointer[[]*Port] // those that get multicast packets
	mu     sync.Mutex              // held while ports come and go
}

type leaf [256]atomic.Pointer[Port]

// Drop is a reason to drop a packet.
type Drop uint8

// The reasons.
const (
	DropHold      Drop = iota + 1 // the link is not up
	DropClear                     // in clear, but encryption is required or agreed
	DropCipher                    // does not decrypt
	DropMalformed                 // not an IPv4 packet
	DropSource                    // not from the user's address
	DropMulticast                 // to a group, or to everyone
	DropUser                      // from user to user, but that is off
	DropNobody                    // to an address that nobody has
	DropTooBig                    // too big and not to be fragmented: answered by ICMP
	DropTTL                       // time to live has expired: answered by ICMP
	DropTUN                       // the system does not accept it
	DropNetBIOS                   // the user's policy blocks it
	DropRate                      // over the user's limit
	DropKeys                      // over the limit of MPPE key changes

	numDrops
)

var dropNames = [numDrops]string{
	"", "link not up", "not encrypted", "cannot be decrypted", "malformed", "wrong source address", "multicast",
	"user to user", "no such user", "too big", "time to live", "not taken by the system",
	"NetBIOS", "over the user's limit", "too many MPPE key changes",
}

// New makes a Plane without ports.
func New(tun TUN, cfg Config) *Plane {
	p := &Plane{tun: tun, cfg: cfg, local: cfg.Local.As4()}
	p.SetKeyChanges(DefaultKeyChanges)
	p.ports.Store(&map[uint32]*leaf{})
	return p
}

// SetKeyChanges sets how often in a second each later port may change MPPE's key for lost packets.
func (p *Plane) SetKeyChanges(perSecond int) { p.keyChanges.Store(int64(perSecond)) }

// Drops counts the dropped packets by reason.
func (p *Plane) Drops() map[string]uint64 {
	by := make(map[string]uint64, numDrops)
	for i := 1; i < len(p.drops); i++ {
		by[dropNames[i]] = p.drops[i].Load()
	}
	return by
}

func (p *Plane) drop(why Drop) { p.drops[why].Add(1) }

// find returns the port of an address, or nil.
func (p *Plane) find(addr [4]byte) *Port {
	n := binary.BigEndian.Uint32(addr[:])
	l := (*p.ports.Load())[n>>8]
	if l == nil {
		return nil
	}
	return l[n&0xFF].Load()
}

// ErrInUse is the error of Add for an address that another port has.
var ErrInUse = errors.New("address is in use")

// Add makes a port for a session. No packet passes it until Port.Up.
func (p *Plane) Add(cfg PortConfig) (*Port, error) {
	if !cfg.Addr.Is4() {
		return nil, fmt.Errorf("%v is no IPv4 address", cfg.Addr)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	port := &Port{plane: p, cfg: cfg, addr: cfg.Addr.As4(), keyChanges: newKeyBucket(p.keyChanges.Load())}
	n := binary.BigEndian.Uint32(port.addr[:])
	leaves := *p.ports.Load()
	l := leaves[n>>8]
	if l == nil {
		l = new(leaf)
		grown := make(map[uint32]*leaf, len(leaves)+1)
		for k, v := range leaves {
			grown[k] = v
		}
		grown[n>>8] = l
		p.ports.Store(&grown)
	}
	if !l[n&0xFF].CompareAndSwap(nil, port) {
		return nil, fmt.Errorf("%v: %w", cfg.Addr, ErrInUse)
	}
	if cfg.Uplink {
		p.uplink.Store(port)
	}
	return port, nil
}

func (p *Plane) remove(port *Port) {
	n := binary.BigEndian.Uint32(port.addr[:])
	if l := (*p.ports.Load())[n>>8]; l != nil {
		l[n&0xFF].CompareAndSwap(port, nil)
	}
	p.uplink.CompareAndSwap(port, nil)
	p.setMulticast(port, false)
}

// setMulticast adds a port to those that get multicast packets, or removes it.
func (p *Plane) setMulticast(port *Port, member bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var members []*Port
	if old := p.groups.Load(); old != nil {
		members = slices.DeleteFunc(slices.Clone(*old), func(other *Port) bool { return other == port })
	}
	if member && !port.gone.Load() {
		members = append(members, port)
	}
	p.groups.Store(&members)
}

// multicast sends a packet of the system to all ports that get multicast, and releases b.
func (p *Plane) multicast(b *pktbuf.Buf, out *link.Batch) {
	defer b.Release()
	members := p.groups.Load()
	if members == nil || len(*members) == 0 {
		p.drop(DropMulticast)
		return
	}
	for _, port := range *members {
		c := pktbuf.Get()
		c.Append(b.Bytes())
		port.outbound(c, out)
	}
}

// Run carries packets from the TUN device to the ports until the device is closed.
func (p *Plane) Run() error {
	var out link.Batch
	bufs := make([]*pktbuf.Buf, link.BatchSize)
	for {
		for i, b := range bufs {
			if b == nil {
				bufs[i] = pktbuf.Get()
			}
		}
		n, err := p.tun.ReadBatch(bufs)
		if errors.Is(err, fs.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		for i, b := range bufs[:n] {
			p.outbound(b, &out)
			bufs[i] = nil
		}
		out.Flush()
	}
}

// outbound takes a packet of the system, and ownership of b.
func (p *Plane) outbound(b *pktbuf.Buf, out *link.Batch) {
	ip := header(b.Bytes())
	if ip == nil {
		p.drop(DropMalformed)
		b.Release()
		return
	}
	b.SetLen(ip.totalLen())
	dst := ip.dst()
	port := p.find(dst)
	if port == nil {
		port = p.uplink.Load()
	}
	switch {
	case port != nil:
		port.outbound(b, out)
	case isMulticast(dst):
		p.multicast(b, out)
	default:
		p.drop(DropNobody)
		b.Release()
	}
}

// write passes a packet to the system.
func (p *Plane) write(packet []byte) {
	if err := p.tun.WritePacket(packet); err != nil {
		p.drop(DropTUN)
	}
}
