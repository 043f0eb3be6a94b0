package realclient

import (
	"strings"
	"testing"
	"vpnd/testenv"
)

// The server tells a client at once that a service is off, even while another user still uses it.
// The client gets in again when the service is on.
func TestServiceOff(t *testing.T) {
	byEither(t, "", func(t *testing.T, s *site) {
		kind := strings.ToLower(s.kind())
		bea := s.server.AddUser(testenv.User{Name: "bea", Password: "geheim"})
		running := bea.Dial(s.lab.Host(t), kind, nil)
		running.Connected()
		s.dial("alice", "geheim", "nomppe")
		s.hangup()
		s.server.VPND("services", "off", kind)
		told := map[string]string{"pptp": "Connection refused", "l2tp": "Connection closed to"}[kind]
		if said := s.refused("alice", "geheim", "nomppe"); !strings.Contains(said, told) || strings.Contains(said, "Maximum retries") {
			t.Errorf("the client is not told: %s", said)
		}
		s.server.VPND("services", "on", kind)
		s.dial("alice", "geheim", "nomppe")
		s.must("ping -c 1 -W 20 10.99.0.1")
		s.server.VPND("services", "off", kind, "--drop")
		s.server.WaitLog("disconnected", "user=alice", "cause=service_off")
		s.over()
		running.Wait()
		s.server.WaitLog("disconnected", "user=bea", "cause=service_off")
	})
}
