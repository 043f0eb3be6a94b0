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

// keptProtocol marks the routes to servers as ours (rtnetlink(7), rtm_protocol). The metric of each
// route is the index of its dial-in's interface. If that interface is gone, the dial-in was killed.
const keptProtocol = 0xD1

// routesFor returns the routes of the interface, each once. If they cover the server's outer
// address, it adds a separate route to the server, which undo removes. It splits a default route
// into two halves, so that the system's own stays as it is.
func routesFor(wanted []netip.Prefix, server, peer netip.Addr, name string) (routes []netip.Prefix, undo func(), err error) {
	undo = func() {}
	covered := false
	add := func(p netip.Prefix) {
		if !slices.Contains(routes, p) {
			routes = append(routes, p)
		}
	}
	for _, p := range wanted {
		covered = covered || p.Contains(server)
		if p.Bits() == 0 {
			add(netip.MustParsePrefix("0.0.0.0/1"))
			add(netip.MustParsePrefix("128.0.0.0/1"))
			continue
		}
		add(p.Masked())
	}
	if peer.IsValid() && peer != server {
		add(netip.PrefixFrom(peer, 32))
	}
	if covered {
		undo, err = keepRoute(server, name)
	}
	return routes, undo, err
}

// keepRoute turns the current path to an address into a route of its own, until undo removes it.
func keepRoute(to netip.Addr, name string) (undo func(), err error) {
	found, err := netlink.RouteGet(to.AsSlice())
	if err != nil || len(found) == 0 {
		return nil, fmt.Errorf("there is no route to the server %v: %w", to, err)
	}
	link, err := net.InterfaceByName(name)
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w", name, err)
	}
	route := &netlink.Route{
		LinkIndex: found[0].LinkIndex, Gw: found[0].Gw, Dst: &net.IPNet{IP: to.AsSlice(), Mask: net.CIDRMask(32, 32)},
		Protocol: keptProtocol, Priority: link.Index,
	}
	if route.Gw == nil {
		route.Scope = netlink.SCOPE_LINK
	}
	if err := netlink.RouteAdd(route); err != nil {
		return nil, fmt.Errorf("keeping the route to the server %v: %w", to, err)
	}
	return func() { _ = netlink.RouteDel(route) }, nil
}

// forgetRoutes removes the routes to servers that killed dial-ins have left.
func forgetRoutes() error {
	kept, err := netlink.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{Protocol: keptProtocol}, netlink.RT_FILTER_PROTOCOL)
	if err != nil {
		return fmt.Errorf("looking for old routes: %w", err)
	}
	for _, r := range kept {
		if _, err := net.InterfaceByIndex(r.Priority); err == nil {
			continue
		}
		if err := netlink.RouteDel(&r); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("removing the old route to %v: %w", r.Dst, err)
		}
	}
	return nil
}
