package ppp

import (
	"net/netip"
	"slices"
	"time"
	"vpnd/internal/reason"
	"vpnd/ppp/fsm"
	"vpnd/ppp/wire"
)

// Options of IPCP (RFC 1332 section 3.3, RFC 1877).
const (
	optAddress = 3
	optDNS1    = 129
	optNBNS1   = 130
	optDNS2    = 131
	optNBNS2   = 132
)

// ipcp is the IP Control Protocol, RFC 1332, with the name servers of RFC 1877.
type ipcp struct {
	control
	local, peer netip.Addr
	ask         bool          // ask for an address of ours; false after the peer rejected it
	naks        int           // of our options
	insists     netip.Addr    // server: the last address asked for, if it is not the peer's
	unnamed     bool          // server: its last request has no address
	dns         [2]netip.Addr // client: from the server
	askDNS      [2]bool
}

func (i *ipcp) init(e *Engine) {
	*i = ipcp{control: control{e: e, protocol: wire.IPCP}, ask: true}
	i.n = i
	if e.cfg.Role == Client {
		i.local = e.cfg.WantedAddress
		i.askDNS = [2]bool{true, true}
	}
}

// hurry begins, or repeats the request at once: a peer that wants encryption has ignored IP so far.
func (i *ipcp) hurry(now time.Time) {
	switch i.state {
	case fsm.Initial:
		i.begin(now)
	case fsm.ReqSent, fsm.AckSent:
		i.do(now, fsm.TOPlus)
	default:
	}
}

// give sets the addresses of the link on a server.
func (i *ipcp) give(g Grant) { i.local, i.peer = g.Local, g.Peer }

func addressData(a netip.Addr) []byte {
	if !a.Is4() {
		return make([]byte, 4)
	}
	return a.AsSlice()
}

func parseAddress(data []byte) netip.Addr {
	a, _ := netip.AddrFromSlice(data)
	if !a.Is4() || a.IsUnspecified() {
		return netip.Addr{}
	}
	return a
}

func (i *ipcp) request() []wire.Option {
	var options []wire.Option
	if i.ask {
		options = append(options, wire.Option{Type: optAddress, Data: addressData(i.local)})
	}
	for n, ask := range i.askDNS {
		if ask {
			options = append(options, wire.Option{Type: dnsOption(n), Data: addressData(i.dns[n])})
		}
	}
	return options
}

func dnsOption(n int) uint8 {
	if n == 0 {
		return optDNS1
	}
	return optDNS2
}

func (i *ipcp) check(options []wire.Option) (nak, reject []wire.Option) {
	addressed := false
	for _, o := range options {
		want, ok := i.want(o)
		switch {
		case !ok:
			reject = append(reject, o)
		case want != parseAddress(o.Data):
			nak = append(nak, wire.Option{Type: o.Type, Data: addressData(want)})
		}
		if o.Type == optAddress {
			addressed = true
			i.noteWish(parseAddress(o.Data))
		}
	}
	if addressed || i.e.cfg.Role == Client {
		return nak, reject
	}
	i.unnamed = true
	switch {
	case slices.Contains(i.refused, optAddress):
		i.e.ended(i.disagreement()) // it insists on its own address, which cannot work
	default:
		nak = append(nak, wire.Option{Type: optAddress, Data: addressData(i.peer)})
	}
	return nak, reject
}

// noteWish records an address that the peer asks for and that is not its own.
func (i *ipcp) noteWish(addr netip.Addr) {
	i.insists, i.unnamed = addr, !addr.IsValid()
	if addr == i.peer {
		i.insists = netip.Addr{}
	}
}

// disagreement is the reason why the two ends cannot agree on addresses.
func (i *ipcp) disagreement() reason.Reason {
	switch {
	case i.naks > i.e.cfg.MaxFailure && i.e.cfg.Role == Server:
		return reason.New(reason.ServerAddress, i.local)
	case i.insists.IsValid():
		return reason.New(reason.ClientInsists, i.insists, plain(i.e.auth.user), i.peer)
	case i.unnamed:
		return reason.New(reason.ClientWantsNone, plain(i.e.auth.user), i.peer)
	default:
		return reason.New(reason.NoIP, "IPCP was not agreed")
	}
}

// want returns the value that an option of the peer must have. If ok is false, the option is
// rejected.
func (i *ipcp) want(o wire.Option) (netip.Addr, bool) {
	if len(o.Data) != 4 {
		return netip.Addr{}, false
	}
	if i.e.cfg.Role == Client {
		if o.Type != optAddress {
			return netip.Addr{}, false
		}
		i.peer = parseAddress(o.Data)
		return i.peer, true
	}
	g := i.e.grant
	switch o.Type {
	case optAddress:
		return i.peer, true
	case optDNS1:
		return server(g.DNS, 0)
	case optDNS2:
		return server(g.DNS, 1)
	case optNBNS1:
		return server(g.NBNS, 0)
	case optNBNS2:
		return server(g.NBNS, 1)
	}
	return netip.Addr{}, false
}

func server(servers []netip.Addr, n int) (netip.Addr, bool) {
	if n >= len(servers) {
		return netip.Addr{}, false
	}
	return servers[n], true
}

func (i *ipcp) nakked(options []wire.Option) bool {
	if i.naks++; i.naks > i.e.cfg.MaxFailure {
		return false
	}
	if i.e.cfg.Role == Server {
		return true
	}
	for _, o := range options {
		switch {
		case len(o.Data) != 4:
		case o.Type == optAddress:
			i.local = parseAddress(o.Data)
		case o.Type == optDNS1 && i.askDNS[0]:
			i.dns[0] = parseAddress(o.Data)
		case o.Type == optDNS2 && i.askDNS[1]:
			i.dns[1] = parseAddress(o.Data)
		}
	}
	return true
}

func (i *ipcp) rejected(options []wire.Option) bool {
	for _, o := range options {
		switch o.Type {
		case optAddress:
			i.ask = false
		case optDNS1:
			i.askDNS[0] = false
		case optDNS2:
			i.askDNS[1] = false
		}
	}
	return true
}

func (i *ipcp) up() {
	i.naks = 0
	i.e.changed = true
	if !i.local.IsValid() && i.e.cfg.Role == Client {
		i.e.ended(reason.New(reason.ServerGaveNone))
	}
}

func (i *ipcp) down() { i.e.networkDown() }

func (i *ipcp) finished() { i.e.ended(i.disagreement()) }

// learned are the name servers that the server gave us.
func (i *ipcp) learned() []netip.Addr {
	var dns []netip.Addr
	for n, a := range i.dns {
		if i.askDNS[n] && a.IsValid() {
			dns = append(dns, a)
		}
	}
	return dns
}
