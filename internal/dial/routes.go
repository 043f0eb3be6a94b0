package dial

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// routesFor gives the routes of the interface. When they cover the server's outer address, the way to it
// is kept by a route of its own, which undo removes. A default route goes in two halves: the system's own
// stays as it is.
func routesFor(wanted []netip.Prefix, server, peer netip.Addr) (routes []netip.Prefix, undo func(), err error) {
	undo = func() {}
	covered := false
	for _, p := range wanted {
		covered = covered || p.Contains(server)
		if p.Bits() == 0 {
			routes = append(routes, netip.MustParsePrefix("0.0.0.0/1"), netip.MustParsePrefix("128.0.0.0/1"))
			continue
		}
		routes = append(routes, p.Masked())
	}
	if own := netip.PrefixFrom(peer, 32); peer.IsValid() && peer != server && !slices.Contains(routes, own) {
		routes = append(routes, own)
	}
	if covered {
		undo, err = keepRoute(server)
	}
	return routes, undo, err
}

// keepRoute makes a route of the way that there is to an address.
func keepRoute(to netip.Addr) (undo func(), err error) {
	found, err := netlink.RouteGet(to.AsSlice())
	if err != nil || len(found) == 0 {
		return nil, fmt.Errorf("there is no route to the server %v: %w", to, err)
	}
	route := &netlink.Route{
		LinkIndex: found[0].LinkIndex, Gw: found[0].Gw, Dst: &net.IPNet{IP: to.AsSlice(), Mask: net.CIDRMask(32, 32)},
	}
	if route.Gw == nil {
		route.Scope = netlink.SCOPE_LINK
	}
	err = netlink.RouteAdd(route)
	if errors.Is(err, unix.EEXIST) {
		return func() {}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("keeping the route to the server %v: %w", to, err)
	}
	return func() { _ = netlink.RouteDel(route) }, nil
}
