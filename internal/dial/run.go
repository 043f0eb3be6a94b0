package dial

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"
	"vpnd/internal/dataplane"
	"vpnd/internal/link"
	"vpnd/internal/reason"
	"vpnd/internal/tun"
	l2tpclient "vpnd/l2tp/client"
	"vpnd/ppp"
	"vpnd/ppp/chap"
	pptpclient "vpnd/pptp/client"
)

// Error is why a dial-in failed.
type Error struct {
	Status int // exit status of vpnd dial
	reason.Reason
}

// Error returns the reason. For a lost connection it says so first, because the reason may not
// tell.
func (e *Error) Error() string {
	if e.Status == reason.ExitLost {
		return "connection lost: " + e.String()
	}
	return e.String()
}

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Reason }

// failed is the error of a dial-in that failed before it was up. usual is the exit status if the
// reason has none for that case.
func failed(why reason.Reason, usual int) error {
	status := why.Row().Exit
	if status == 0 || status == reason.ExitLost {
		status = usual
	}
	return &Error{status, why}
}

const (
	// hangUpTime is the time limit of a proper hang-up.
	hangUpTime = 5 * time.Second
	// connectTime is the time limit of the carrier to dial.
	connectTime = 30 * time.Second
)

// Options are the settings of a dial-in.
type Options struct {
	Type      link.Type
	Server    netip.AddrPort
	PPP       ppp.Config // Run sets its Password
	Password  func(ctx context.Context) (string, error)
	Secret    string         // of the L2TP tunnel
	Interface string         // name of the TUN interface
	Routes    []netip.Prefix // networks behind the connection, besides the server itself
	Report    time.Duration  // interval of the transfer figures; 0: only at the end
}

// Kinds of events, in the order in which they come. The last two come from the caller of Run.
const (
	Connecting     = "connecting"
	Authenticating = "authenticating"
	Connected      = "connected"
	Transfer       = "transfer"
	Disconnected   = "disconnected"
	Redial         = "redial"
	Failed         = "failed"
)

// Event is a step of a dial-in.
type Event struct {
	Kind       string         `json:"event"`
	Time       time.Time      `json:"time"`
	Type       link.Type      `json:"type,omitempty"`
	Server     string         `json:"server,omitempty"`
	User       string         `json:"user,omitempty"`
	Interface  string         `json:"interface,omitempty"`
	Address    netip.Addr     `json:"address,omitzero"`
	Peer       netip.Addr     `json:"peer,omitzero"`
	Encryption string         `json:"encryption,omitempty"`
	DNS        []netip.Addr   `json:"dns,omitempty"`
	Routes     []netip.Prefix `json:"routes,omitempty"`
	Cause      reason.Code    `json:"cause,omitempty"` // code of the reason
	Reason     string         `json:"reason,omitempty"`
	Status     int            `json:"status,omitempty"` // exit status of the command
	Seconds    float64        `json:"seconds,omitempty"`
	*Figures
}

// Figures are the counters of IP packets in Transfer and Disconnected.
type Figures struct {
	RxBytes   uint64 `json:"rx_bytes"`
	TxBytes   uint64 `json:"tx_bytes"`
	RxPackets uint64 `json:"rx_packets"`
	TxPackets uint64 `json:"tx_packets"`
}

// Run dials in once, and carries packets until the connection ends or ctx is done. If ctx is done,
// it hangs up properly, which is no error. It calls tell at each step. If the server refuses a
// password that is not ASCII, Run tries it once more in its other spelling. The spelling that
// worked stays in o.
func Run(ctx context.Context, o *Options, tell func(Event)) error {
	d := newDialIn(o, tell)
	refused := d.run(ctx)
	if !d.misspelt(refused) {
		return refused
	}
	o.PPP.OtherSpelling = !o.PPP.OtherSpelling
	again := newDialIn(o, tell)
	again.tell(Event{Kind: Redial, Cause: reason.Of(refused).Code, Reason: refused.Error() + "; the password is not ASCII: vpnd tries its other encoding"})
	err := again.run(ctx)
	if errors.Is(err, reason.New(reason.ServerRefusesLogIn)) {
		o.PPP.OtherSpelling = !o.PPP.OtherSpelling
	}
	return err
}

// dialIn is one attempt to dial in.
type dialIn struct {
	o        *Options
	tell     func(Event)
	device   *tun.Device
	path     path
	conn     *Conn
	password string
}

func newDialIn(o *Options, tell func(Event)) *dialIn {
	return &dialIn{o: o, tell: func(e Event) {
		e.Time = time.Now()
		tell(e)
	}}
}

// misspelt reports whether another spelling of the password may help.
func (d *dialIn) misspelt(err error) bool {
	return errors.Is(err, reason.New(reason.ServerRefusesLogIn)) && !chap.IsASCII(d.password)
}

func (d *dialIn) run(ctx context.Context) error {
	carrier, closeCarrier, err := d.carrier()
	if err != nil {
		return err
	}
	defer closeCarrier()
	if err := forgetRoutes(); err != nil {
		return err
	}
	// Make the device before the password is used, because it may fail for local reasons.
	if d.device, err = tun.Make(d.o.Interface); err != nil {
		return err
	}
	defer func() { _ = d.device.Close() }()
	d.tell(Event{Kind: Connecting, Type: d.o.Type, Server: d.o.Server.String()})
	cfg := d.o.PPP
	if d.password, err = d.o.Password(ctx); err != nil {
		return err
	}
	cfg.Password = d.password
	d.conn = New(cfg, &d.path)
	dialling, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	if err := d.conn.Dial(dialling, carrier, d.o.Server, nil); err != nil {
		return whyNot(ctx, err)
	}
	defer d.hangUp()
	d.tell(Event{Kind: Authenticating, User: cfg.User})
	select {
	case <-d.conn.Up():
	case <-d.conn.Closed():
		return d.failure(d.conn.End())
	case <-ctx.Done():
		return ctx.Err()
	}
	return d.carry(ctx)
}

func (d *dialIn) carrier() (Carrier, func(), error) {
	if d.o.Type == link.L2TP {
		return &l2tpclient.Dialer{Secret: d.o.Secret}, func() {}, nil
	}
	dialer, err := pptpclient.New(netip.IPv4Unspecified())
	if err != nil {
		return nil, nil, err
	}
	return dialer, dialer.Close, nil
}

// whyNot converts the carriers' errors into those of dial-ins.
func whyNot(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, context.DeadlineExceeded):
		return failed(reason.New(reason.ServerNoAnswer), 0)
	}
	if why := (reason.Reason{}); errors.As(err, &why) {
		return failed(why, reason.ExitRefused)
	}
	return err
}

// carry configures the interface and carries packets.
func (d *dialIn) carry(ctx context.Context) error {
	since := time.Now()
	network, _ := d.conn.Network()
	mtu := int(network.PeerMRU)
	if network.Encrypter != nil {
		mtu -= 4
	}
	routes, undo, err := routesFor(d.o.Routes, d.o.Server.Addr(), network.Peer, d.o.Interface)
	if err != nil {
		return err
	}
	defer undo()
	if err := d.device.Configure(tun.Config{Address: network.Local, MTU: mtu, Routes: routes, Beside: true}); err != nil {
		return err
	}
	plane := dataplane.New(d.device, dataplane.Config{Local: network.Local})
	var wg sync.WaitGroup
	defer wg.Wait()
	defer func() { _ = d.device.Close() }()
	if err := d.path.attach(plane, d.conn, network); err != nil {
		return err
	}
	defer d.path.detach()
	wg.Go(func() { _ = plane.Run() })
	d.tell(Event{
		Kind: Connected, Interface: d.o.Interface, Address: network.Local, Peer: network.Peer,
		Encryption: network.Encryption, DNS: network.DNS, Routes: d.o.Routes,
	})
	end, err := d.wait(ctx, since)
	d.tell(d.figures(Disconnected, since, end))
	return err
}

// wait returns why the connection has ended. The error is nil if we ended it.
func (d *dialIn) wait(ctx context.Context, since time.Time) (why reason.Reason, err error) {
	var tick <-chan time.Time
	if d.o.Report > 0 {
		ticker := time.NewTicker(d.o.Report)
		defer ticker.Stop()
		tick = ticker.C
	}
	for {
		select {
		case <-tick:
			d.tell(d.figures(Transfer, since, reason.Reason{}))
		case <-ctx.Done():
			return reason.New(reason.HangsUp), nil
		case <-d.conn.Closed():
			why := d.conn.End().Reason
			return why, &Error{reason.ExitLost, why}
		}
	}
}

func (d *dialIn) figures(kind string, since time.Time, why reason.Reason) Event {
	s := d.path.stats()
	return Event{
		Kind: kind, Cause: why.Code, Reason: why.String(), Seconds: time.Since(since).Seconds(),
		Figures: &Figures{RxBytes: s.RxBytes, TxBytes: s.TxBytes, RxPackets: s.RxPackets, TxPackets: s.TxPackets},
	}
}

// hangUp ends the link and the call, and waits until both have ended.
func (d *dialIn) hangUp() {
	d.conn.Hangup(reason.New(reason.HangsUp))
	limit := time.After(hangUpTime)
	for _, done := range []<-chan struct{}{d.conn.Closed(), d.conn.Over()} {
		select {
		case <-done:
		case <-limit:
			return
		}
	}
}

// failure is the error of a link that did not come up.
func (d *dialIn) failure(end ppp.Closed) error {
	why := end.Reason
	if d.o.Type == link.PPTP && !d.conn.Heard() && why.Row().Exit == reason.ExitNoAnswer {
		why = reason.New(reason.ServerNoGRE)
	}
	return failed(why, reason.ExitProtocol)
}
