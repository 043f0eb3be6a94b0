package realclient

import (
	"strings"
	"testing"
	"vpnd/l2tp/wire"
	"vpnd/testenv"
)

// secondCall makes xl2tpd place a second call in its tunnel. xl2tpd has no command for that: it
// does not dial a LAC that is up, and a call by the number of a tunnel kills it. But after the
// server has ended a call, it dials again after a while and does not check whether it has dialled
// in the meantime. (After its own pppd has ended a call, it may treat the call as active until the
// tunnel is gone.)
const secondCall = `waited=0
while [ $(grep -c "Calling on tunnel" /run/xl2tpd.log) -lt 2 ] && [ $waited -lt 100 ]; do
	echo "c vpnd" > /run/xl2tpd/l2tp-control
	waited=$((waited + 1))
	sleep 0.2
done
for unit in 0 1; do
	waited=0
	while ! up && [ $waited -lt 300 ]; do waited=$((waited + 1)); sleep 0.1; done
done
unit=
sleep 0.2
ping -c 3 -i 0.2 -W 2 -I ppp0 10.99.0.1 && ping -c 3 -i 0.2 -W 2 -I ppp1 10.99.0.1`

// One tunnel has several sessions, first one after the other and then two at once. Each has an
// address of its own, one ends without the other, and both end with the tunnel.
func TestL2TPSessions(t *testing.T) {
	s := newSite(t, "")
	s.l2tp, s.lac = true, "redial = yes\nredial timeout = 5"
	capture := s.lab.Capture(t, s.guest.Interface())
	s.dial("alice", "geheim", "nomppe")
	s.server.VPND("drop", "alice")
	s.must(secondCall)
	for _, c := range []struct {
		kind wire.MessageType
		want int
	}{{wire.SCCRQ, 1}, {wire.ICRQ, 3}} {
		if n := sent(capture, s.guest.Address, c.kind); n != c.want {
			t.Errorf("%d messages %v, want %d\n%s", n, c.kind, c.want, s.pppd())
		}
	}
	up := strings.Count(s.server.Log(), "msg=connected") - strings.Count(s.server.Log(), "msg=disconnected")
	if up != 2 {
		t.Errorf("%d sessions are up:\n%s", up, s.server.Log())
	}
	s.server.Forget()
	s.must(`set -- $(pidof pppd); kill $1
while [ -e /sys/class/net/ppp0 ] && [ -e /sys/class/net/ppp1 ]; do sleep 0.1; done
for left in ppp0 ppp1; do [ ! -e /sys/class/net/$left ] || break; done
ping -c 3 -i 0.2 -W 2 -I $left 10.99.0.1`)
	s.server.WaitLog("disconnected", "user=alice")
	s.server.Forget()
	s.hangup()
}

// sent counts the control messages of a kind from an address, without repetitions.
func sent(capture *testenv.Capture, from string, kind wire.MessageType) int {
	seen := map[uint16]bool{}
	for _, p := range capture.UDP(wire.Port) {
		if h, body, err := wire.ParseHeader(p.Payload); err == nil && h.Control && p.From == from && len(body) >= 8 && body[7] == byte(kind) {
			seen[h.Ns] = true
		}
	}
	return len(seen)
}
