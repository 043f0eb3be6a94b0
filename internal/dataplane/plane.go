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
	// ReadBatch waits for a packet and takes it and what else is there into bufs. The error is
	// fs.ErrClosed after Close.
	ReadBatch(bufs []*pktbuf.Buf) (int, error)
	// WritePacket gives the system a packet and does not keep it. It is safe for concurrent use.
	WritePacket(p []byte) error
	// MTU is the interface's, in bytes.
	MTU() int
}

// Cipher encrypts the packets of one direction, in place.
type Cipher interface {
	// Seal encrypts a protocol number with its payload and gives the header that goes in front.
	Seal(p []byte) uint16
	// Reset begins the stream again, as the peer has asked.
	Reset()
}

// Decipher decrypts the packets of one direction, in place.
type Decipher interface {
	// Open decrypts what follows header. On an error p holds nothing of use.
	Open(header uint16, p []byte) error
	// KeyChanges is how often Open will change the key for a packet with this header: the peer chooses that.
	KeyChanges(header uint16) int
	// Waiting reports whether the stream has lost its place, and the peer is to begin it again.
	Waiting() bool
}

// Config is what a Plane is made with.
type Config struct {
	Local      netip.Addr // the server's inner address
	UserToUser bool       // users reach each other
}

// Plane connects the ports of all sessions with the TUN device.
type Plane struct {
	tun   TUN
	cfg   Config
	local [4]byte
	drops [numDrops]atomic.Uint64

	keyChanges atomic.Int64 // for a new port

	// ports finds a port by its address: a map of the networks of 256 addresses, which is copied
	// when one is added, and never shrinks; in each, a pointer for each address.
	ports  atomic.Pointer[map[uint32]*leaf]
	uplink atomic.Pointer[Port]
	groups atomic.Pointer[[]*Port] // those that multicast packets go to
	mu     sync.Mutex              // held while ports come and go
}

type leaf [256]atomic.Pointer[Port]

// Drop is a reason for which a packet is not passed on.
type Drop uint8

// The reasons.
const (
	DropHold      Drop = iota + 1 // the link is not up
	DropClear                     // not encrypted, and that is required, or was agreed
	DropCipher                    // cannot be decrypted
	DropMalformed                 // no IPv4 packet
	DropSource                    // not from the user's address
	DropMulticast                 // to a group, or to all
	DropUser                      // from user to user, which is off
	DropNobody                    // to an address that nobody has
	DropTooBig                    // may not be fragmented: answered by ICMP
	DropTTL                       // has travelled too far: answered by ICMP
	DropTUN                       // the system does not take it
	DropNetBIOS                   // kept back by the user's policy
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

// SetKeyChanges says how often in a second a port that is added from now on changes MPPE's key for packets
// that were lost.
func (p *Plane) SetKeyChanges(perSecond int) { p.keyChanges.Store(int64(perSecond)) }

// Drops counts the packets that were not passed on, by reason.
func (p *Plane) Drops() map[string]uint64 {
	by := make(map[string]uint64, numDrops)
	for i := 1; i < len(p.drops); i++ {
		by[dropNames[i]] = p.drops[i].Load()
	}
	return by
}

func (p *Plane) drop(why Drop) { p.drops[why].Add(1) }

// find gives the port of an address, or nil.
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

// Add makes a port for a session. Nothing passes it until Port.Up.
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

// setMulticast has a port among those that multicast packets go to, or not.
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

// multicast gives a packet of the system to all ports that have multicast, and releases b.
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

// write gives the system a packet.
func (p *Plane) write(packet []byte) {
	if err := p.tun.WritePacket(packet); err != nil {
		p.drop(DropTUN)
	}
}
