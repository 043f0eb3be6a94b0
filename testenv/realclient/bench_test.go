package realclient

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
	"vpnd/internal/dial"
	"vpnd/internal/link"
	l2tpclient "vpnd/l2tp/client"
	"vpnd/ppp"
	"vpnd/pptp/client"
	"vpnd/testenv"
)

// BenchmarkServerPacket carries UDP packets of about 1400 bytes through one session in each
// direction, as fast as two programs of this machine and the daemon between them can. It gives the
// processor time per packet of the daemon, with that of the kernel on its behalf. The client is our
// own, with its own veth. "veth" is the same sender without a tunnel. In "10000-sessions" 10,000
// sessions are up, and all except one are idle.
func BenchmarkServerPacket(b *testing.B) {
	b.Run("veth", func(b *testing.B) {
		lab := testenv.New(b)
		host := lab.Host(b)
		out(b, lab, host.Address, nil, func() uint64 { return received(b, host.Namespace, "eth0") })
	})
	for _, kind := range []string{"PPTP", "L2TP"} {
		for name, mode := range map[string]ppp.MPPEMode{"clear": ppp.MPPEOff, "MPPE-128": ppp.MPPERequired} {
			b.Run(kind+"/"+name, func(b *testing.B) { bothWays(b, kind, mode, 1) })
		}
	}
	b.Run("L2TP/10000-sessions", func(b *testing.B) { bothWays(b, "L2TP", ppp.MPPEOff, 10_000) })
}

// bothWays measures the last of n sessions in both directions.
func bothWays(b *testing.B, kind string, mode ppp.MPPEMode, n int) {
	b.Helper()
	lab, server, c := dialled(b, kind, mode, n)
	b.Run("in", func(b *testing.B) { in(b, lab, server, c) })
	b.Run("out", func(b *testing.B) {
		network, _ := c.Network()
		out(b, lab, network.Local.String(), server, func() uint64 { n, _ := c.Packets(); return n })
	})
}

// BenchmarkFlood sends SCCRQs from 500 addresses as fast as it can. It gives their number per
// second, and the processor time of the server for each.
func BenchmarkFlood(b *testing.B) {
	lab, server, c := dialled(b, "L2TP", ppp.MPPEOff, 1)
	crowd := lab.Host(b)
	before := cpu(b, server.PID())
	b.ResetTimer()
	sent := crowd.FloodSCCRQ(b.N, nil)
	b.StopTimer()
	spent := cpu(b, server.PID()) - before
	if !c.Ping(5 * time.Second) {
		b.Error("the user beside the flood is cut off")
	}
	b.ReportMetric(float64(sent)/b.Elapsed().Seconds(), "SCCRQ/s")
	b.ReportMetric(float64(spent.Nanoseconds())/float64(sent)/1000, "server-us/SCCRQ")
}

// dialled makes a server with n sessions and gives the last one.
func dialled(b *testing.B, kind string, mode ppp.MPPEMode, n int) (*testenv.Lab, *testenv.Server, *testenv.Client) {
	b.Helper()
	lab := testenv.New(b)
	server := lab.NewServer(b, "")
	server.ServePages(pages, "network: {pool: 10.99.0.2-10.99.255.254}\nppp: {echo_interval: 5m}\nlimits: {log_ins_per_user: 100000}\n")
	server.VPND("user", "add", "alice", "--password", "geheim", "--max-connections", "0")
	server.Start()
	host := lab.Host(b)
	b.Cleanup(server.Kill) // after its clients have gone
	clients := make([]*testenv.Client, n)
	err := testenv.InNamespace(host.Namespace, func() error {
		var carrier dial.Carrier = &l2tpclient.Dialer{}
		port := ":1701"
		if kind == "PPTP" {
			d, err := client.New(netip.MustParseAddr(host.Address))
			if err != nil {
				return err
			}
			b.Cleanup(d.Close)
			carrier, port = d, ":1723"
		}
		method := ppp.PAP
		if mode == ppp.MPPERequired {
			method = ppp.MSCHAPv2
		}
		cfg := ppp.Config{User: "alice", Password: "geheim", Auth: []ppp.Method{method}, MPPE: ppp.MPPE{Mode: mode}, EchoInterval: time.Hour}
		for i := range clients {
			clients[i] = new(testenv.Client)
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			err := clients[i].Dial(ctx, carrier, netip.MustParseAddrPort(testenv.ServerAddress+port), cfg)
			cancel()
			if err != nil {
				return fmt.Errorf("session %d: %w", i, err)
			}
		}
		return nil
	})
	if err != nil {
		b.Fatalf("%v\n%.2000s", err, server.Log())
	}
	return lab, server, clients[n-1]
}

// report reports the figures for the sent packets, from the number that arrived.
func report(b *testing.B, sent int, arrived uint64, spent time.Duration) {
	b.Helper()
	if spent > 0 {
		b.ReportMetric(float64(spent.Nanoseconds())/float64(arrived)/1000, "server-us/packet")
	}
	b.ReportMetric(100*float64(arrived)/float64(sent), "%arrived")
	b.ReportMetric(float64(arrived)*1396*8/b.Elapsed().Seconds()/1e6, "Mbit/s")
}

// pace waits for a moment if far more packets are sent than have arrived: a full queue proves
// nothing.
func pace(sent int, arrived func() uint64) {
	if sent%512 != 0 {
		return
	}
	for deadline := time.Now().Add(5 * time.Millisecond); time.Now().Before(deadline) && arrived() < uint64(sent)*99/100; {
		runtime.Gosched()
	}
}

// out sends from the server's side to an address.
func out(b *testing.B, lab *testenv.Lab, to string, server *testenv.Server, arrived func() uint64) {
	b.Helper()
	var conn net.Conn
	err := testenv.InNamespace(lab.Namespace, func() (err error) {
		conn, err = net.Dial("udp4", net.JoinHostPort(to, "9"))
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	payload := make([]byte, 1396-28)
	first := arrived()
	var before time.Duration
	if server != nil {
		before = cpu(b, server.PID())
	}
	b.ResetTimer()
	for sent := 1; sent <= b.N; sent++ {
		_, _ = conn.Write(payload) // it may fail, because nobody listens there
		pace(sent, func() uint64 { return arrived() - first })
	}
	time.Sleep(100 * time.Millisecond)
	b.StopTimer()
	var spent time.Duration
	if server != nil {
		spent = cpu(b, server.PID()) - before
	}
	report(b, b.N, arrived()-first, spent)
}

// in sends from the client to the server's inner address.
func in(b *testing.B, lab *testenv.Lab, server *testenv.Server, c *testenv.Client) {
	b.Helper()
	network, _ := c.Network()
	packet := make([]byte, 1396)
	packet[0], packet[8], packet[9] = 0x45, 64, 17
	binary.BigEndian.PutUint16(packet[2:], uint16(len(packet)))
	copy(packet[12:], network.Local.AsSlice())
	copy(packet[16:], []byte{10, 99, 0, 1})
	binary.BigEndian.PutUint16(packet[22:], 9)
	binary.BigEndian.PutUint16(packet[24:], uint16(len(packet)-20))
	sum := uint32(0)
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(packet[i:]))
	}
	binary.BigEndian.PutUint16(packet[10:], ^uint16(sum>>16+sum&0xFFFF))
	const batch = 4
	many := [][]byte{packet, packet, packet, packet}
	var out link.Batch
	arrived := func() uint64 { return received(b, lab.Namespace, "vpn0") }
	before, first := cpu(b, server.PID()), arrived()
	b.ResetTimer()
	sent := 0
	for sent < b.N {
		c.SendIP(&out, many...)
		sent += batch
		pace(sent, func() uint64 { return arrived() - first })
	}
	time.Sleep(100 * time.Millisecond)
	b.StopTimer()
	report(b, sent, arrived()-first, cpu(b, server.PID())-before)
}

// cpu is the processor time of a process, user and system.
func cpu(b *testing.B, pid int) time.Duration {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	if err1 != nil || err2 != nil {
		b.Fatalf("%v, %v", err1, err2)
	}
	return time.Duration(user+system) * time.Second / 100
}

// received is the number of packets that an interface has received.
func received(b *testing.B, namespace, iface string) uint64 {
	b.Helper()
	var n uint64
	err := testenv.InNamespace(namespace, func() error {
		text, err := os.ReadFile("/proc/thread-self/net/dev")
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			if rest, ok := strings.CutPrefix(strings.TrimSpace(line), iface+":"); ok {
				n, err = strconv.ParseUint(strings.Fields(rest)[1], 10, 64)
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return n
}
