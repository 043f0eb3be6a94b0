package web

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"vpnd/mgmt"
)

// settingRoutes gives the pages for the settings of all users and of the daemon.
func (p *Pages) settingRoutes() []route {
	return []route{
		{"GET /services", p.services},
		{"POST /services", change(p.setServices)},
		{"GET /ppp", p.ppp},
		{"POST /ppp", change(p.setPPP)},
		{"POST /ppp/pools", change(p.setPools)},
		{"GET /time", p.time},
		{"POST /time", change(p.inquire)},
		{"POST /time/settings", change(p.setTime)},
		{"GET /status", p.status},
		{"POST /status", change(p.shutDown)},
	}
}

// settings gives the settings that can be changed. A daemon may have none.
func (p *Pages) settings() (mgmt.CurrentSettings, error) {
	settings := p.cfg.API.Settings()
	if settings == nil {
		return nil, fault{http.StatusNotFound, "The settings of this daemon cannot be changed while it runs."}
	}
	return settings, nil
}

// overtaken is the notice if other settings were stored since the form was shown.
const overtaken = "Somebody else changed these settings while you did. Your changes are not stored. Press OK again to store them."

// pageWords replaces the words of the configuration file by those of the pages.
var pageWords = strings.NewReplacer(
	"offer mschapv2 in ppp.authentication", "tick MS-CHAPv2", "set ppp.mppe to off", "choose No MPPE", "ppp.authentication", "Dial-In PPP Authentication",
	"ppp.mppe", "Dial-In PPP Encryption (MPPE)", "ppp.mutual_pap.password", "the password", "ppp.mutual_pap.user", "the user name",
	"ppp.echo_interval", "the echo interval", "time.servers", "the time servers", "time.interval", "the interval", "time.max_offset", "the limit",
	"network.pools", "the pools", "network.pool", "the pool",
)

// missed records each FieldError in err under its field. It returns err if it holds none.
func (f *form) missed(err error) error {
	fields := mgmt.FieldErrors(err)
	for _, e := range fields {
		f.wrong(e.Field, pageWords.Replace(e.Text))
	}
	if len(fields) > 0 {
		return nil
	}
	return err
}

type settingsData struct {
	Groups     []group
	Tag        string
	Change     bool
	Overridden []string // keys of the configuration file
	Running    []serviceRun
	Pools      []mgmt.Pool
	PoolGroups []group
	PoolTag    string
}

// serviceRun is the state of a service.
type serviceRun struct {
	Name        string
	On          bool
	Leaving     bool // it accepts no new calls, because the daemon is shutting down
	Connections int
}

// running gives the state of the services.
func (p *Pages) running(settings mgmt.CurrentSettings) []serviceRun {
	now, leaving := settings.Services(), settings.ShutdownState().Pending
	all := []serviceRun{{Name: "PPTP", On: now.PPTP}, {Name: "L2TP", On: now.L2TP}}
	for i := range all {
		all[i].Leaving = leaving && all[i].On
	}
	for _, c := range p.cfg.API.Connections(mgmt.ConnectionQuery{}) {
		if c.Type == "PPTP" {
			all[0].Connections++
		} else {
			all[1].Connections++
		}
	}
	return all
}

// services is Remote Access Control.
func (p *Pages) services(w http.ResponseWriter, r *http.Request) error {
	settings, err := p.settings()
	if err != nil {
		return err
	}
	return p.showServices(w, r, settings, form{}, view{})
}

func (p *Pages) showServices(w http.ResponseWriter, r *http.Request, settings mgmt.CurrentSettings, f form, v view) error {
	now := settings.Services()
	d := settingsData{Tag: mgmt.StateTag(now), Change: mayChange(r), Running: p.running(settings)}
	d.Overridden = overridden(settings, "services.")
	d.Groups = []group{{"VPN services", f.fill(
		control{Name: "pptp", Label: "Enable PPTP VPN Service", Type: "checkbox", Checked: now.PPTP, Hint: "TCP port 1723, and GRE."},
		control{Name: "l2tp", Label: "Enable L2TP VPN Service", Type: "checkbox", Checked: now.L2TP, Hint: "UDP port 1701, with or without IPsec."},
		control{
			Name: "drop", Label: "Drop the connections of a service that is turned off", Type: "checkbox", Write: true,
			Hint: "Otherwise they stay, and only new calls are refused.",
		},
	)}}
	v.Title, v.Data = "Remote Access Control Setup", d
	return p.render(w, r, "settings.html", v)
}

// asSeen requires that nobody has made a change since the form was shown.
func asSeen(r *http.Request) mgmt.Precondition { return mgmt.AsSeen(r.PostForm.Get("tag")) }

// replaced is a change to the values of a form.
func replaced[S any](to S) func(*S) error {
	return func(now *S) error {
		*now = to
		return nil
	}
}

// overridden gives the keys below a prefix that a change overrides.
func overridden(settings mgmt.CurrentSettings, prefix string) []string {
	return slices.DeleteFunc(slices.Clone(settings.Overridden()), func(key string) bool { return !strings.HasPrefix(key, prefix) })
}

// setServices turns services on and off.
func (p *Pages) setServices(w http.ResponseWriter, r *http.Request) error {
	settings, err := p.settings()
	if err != nil {
		return err
	}
	f := form{values: r.PostForm}
	to := mgmt.ServiceSet{PPTP: r.PostForm.Has("pptp"), L2TP: r.PostForm.Has("l2tp")}
	err = p.cfg.API.ChangeServices(r.Context(), asSeen(r), r.PostForm.Has("drop"), replaced(to))
	if errors.Is(err, mgmt.ErrChanged) {
		return p.showServices(w, r, settings, f, view{Status: http.StatusConflict, Notice: overtaken, Wrong: true})
	}
	if err != nil {
		return p.showServices(w, r, settings, f, view{Status: http.StatusUnprocessableEntity, Notice: "Nothing was changed: " + err.Error(), Wrong: true})
	}
	said := map[bool]string{true: "on", false: "off"}
	return done(w, r, "/services", fmt.Sprintf("PPTP is %s, L2TP is %s.", said[to.PPTP], said[to.L2TP]))
}

// ppp is PPP General Setup.
func (p *Pages) ppp(w http.ResponseWriter, r *http.Request) error {
	settings, err := p.settings()
	if err != nil {
		return err
	}
	return p.showPPP(w, r, settings, form{}, form{}, view{})
}

// allMethods are the authentication methods, the strongest first.
var allMethods = []string{"mschapv2", "mschap", "chap", "pap"}

// methods gives the ticked methods. If they are the current ones they keep their order. Otherwise
// the strongest comes first.
func methods(ticked, now []string) []string {
	chosen := slices.DeleteFunc(slices.Clone(allMethods), func(m string) bool { return !slices.Contains(ticked, m) })
	if slices.Equal(chosen, slices.DeleteFunc(slices.Clone(allMethods), func(m string) bool { return !slices.Contains(now, m) })) {
		return now
	}
	return chosen
}

func (p *Pages) showPPP(w http.ResponseWriter, r *http.Request, settings mgmt.CurrentSettings, f, pools form, v view) error {
	now := settings.PPP()
	d := settingsData{Tag: mgmt.StateTag(now), Change: mayChange(r), Overridden: overridden(settings, "ppp."), Pools: p.pools()}
	if d.Pools != nil {
		of := settings.Pools()
		d.PoolGroups, d.PoolTag = poolGroups(of, &pools), mgmt.StateTag(of)
	}
	authentication := control{
		Name: "authentication", Label: "Dial-In PPP Authentication", Type: "ticks",
		Hint: "vpnd offers the strongest method first. Only MS-CHAPv2 is safest. One-time passwords work with all methods. MPPE needs MS-CHAP or MS-CHAPv2.",
	}
	for _, o := range []option{{"mschapv2", "MS-CHAPv2", false}, {"mschap", "MS-CHAP", false}, {"chap", "CHAP", false}, {"pap", "PAP", false}} {
		o.Selected = slices.Contains(now.Authentication, o.Value)
		authentication.Options = append(authentication.Options, o)
	}
	mutual := control{Name: "mutual_pap", Label: "Mutual Authentication (PAP)", Type: "checkbox", Checked: now.MutualPAP.User != "", Hint: "The server authenticates itself to clients that ask for it."}
	password := control{Name: "mutual_pap.password", Label: "Password", Type: "password", Complete: "new-password", Stored: "not set"}
	if now.MutualPAP.HasPassword {
		password.Placeholder, password.Stored = "set; leave it empty to keep it", "set"
	}
	mppe := control{Name: "mppe", Label: "Dial-In PPP Encryption (MPPE)", Type: "select", Value: now.MPPE}
	for _, o := range []option{
		{"off", "No MPPE", false}, {"optional", "Optional MPPE", false}, {"required", "Require MPPE (40/128 bits)", false}, {"maximum", "Maximum MPPE (128 bits)", false},
	} {
		o.Selected = o.Value == now.MPPE
		mppe.Options = append(mppe.Options, o)
	}
	d.Groups = []group{
		{"PPP", f.fill(authentication, mppe, control{
			Name: "mppe_stateful", Label: "Stateful MPPE for clients that agree to it", Type: "checkbox", Checked: now.MPPEStateful,
			Hint: "The key changes every 256 packets instead of every packet. Leave this off if packets get lost.",
		})},
		{"Mutual Authentication", f.fill(mutual, control{Name: "mutual_pap.user", Label: "User name", Type: "text", Value: now.MutualPAP.User, MaxLength: 255}, password)},
		{"Dead clients", f.fill(
			control{Name: "echo_interval", Label: "Echo interval", Type: "text", Value: now.EchoInterval, Hint: "For example 30s. 0s: off."},
			control{Name: "echo_failures", Label: "Unanswered echoes that end a connection", Type: "text", Mode: "numeric", Value: strconv.Itoa(now.EchoFailures), Hint: "0: vpnd does not detect dead clients by echo."},
			control{Name: "chap_interval", Label: "CHAP asks again after", Type: "text", Value: now.CHAPInterval, Hint: "For example 1h. Users with a one-time password are never asked again. 0s: never."},
		)},
	}
	v.Title, v.Data = "PPP General Setup", d
	v.faulty(&f, &pools)
	return p.render(w, r, "settings.html", v)
}

// setPPP changes what new connections negotiate.
func (p *Pages) setPPP(w http.ResponseWriter, r *http.Request) error {
	settings, err := p.settings()
	if err != nil {
		return err
	}
	f := form{values: r.PostForm}
	var own map[string]string // faults that only the page finds
	err = p.cfg.API.ChangePPP(r.Context(), asSeen(r), func(now *mgmt.PPPSettings) error {
		readPPP(&f, now)
		own = maps.Clone(f.faults)
		if len(own) > 0 {
			now.EchoFailures = -1 // an invalid value, so that nothing is stored and all other faults are reported, too
		}
		return nil
	})
	if errors.Is(err, mgmt.ErrChanged) {
		return p.showPPP(w, r, settings, f, form{}, view{Status: http.StatusConflict, Notice: overtaken, Wrong: true})
	}
	if err := f.missed(err); err != nil {
		return p.showPPP(w, r, settings, f, form{}, view{Status: http.StatusUnprocessableEntity, Notice: "Nothing was changed: " + err.Error(), Wrong: true})
	}
	if len(own) > 0 && own["echo_failures"] == "" {
		delete(f.faults, "echo_failures")
	}
	maps.Copy(f.faults, own)
	if len(f.faults) > 0 {
		return p.showPPP(w, r, settings, f, form{}, view{})
	}
	return done(w, r, "/ppp", "PPP General Setup is changed. New connections use it.")
}

// readPPP reads PPP General Setup from a form, and records its faults there.
func readPPP(f *form, to *mgmt.PPPSettings) {
	text := func(name string) string { return strings.TrimSpace(f.values.Get(name)) }
	to.Authentication, to.MPPE = methods(f.values["authentication"], to.Authentication), f.values.Get("mppe")
	to.MPPEStateful = f.values.Has("mppe_stateful")
	to.EchoInterval, to.CHAPInterval = text("echo_interval"), text("chap_interval")
	if len(to.Authentication) == 0 {
		f.wrong("authentication", "is missing: select at least one.")
	}
	to.MutualPAP = mgmt.MutualPAP{}
	if f.values.Has("mutual_pap") {
		to.MutualPAP.User, to.MutualPAP.Password = f.values.Get("mutual_pap.user"), f.values.Get("mutual_pap.password")
		if to.MutualPAP.User == "" {
			f.wrong("mutual_pap.user", "is missing: enter the name that the server sends.")
		}
	}
	var err error
	if to.EchoFailures, err = strconv.Atoi(text("echo_failures")); err != nil {
		f.wrong("echo_failures", "is not a whole number: 4 is usual.")
	}
}
