package mgmt

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/conditional"
)

type (
	// ServiceView is what GET /services tells.
	ServiceView struct {
		ServiceSet
		Overridden []string `json:"overridden" doc:"Keys of the configuration file that what is set here was laid over"`
	}
	// ServiceChange is the body of PATCH /services.
	ServiceChange struct {
		PPTP *bool `json:"pptp,omitempty" doc:"Left out: as it is"`
		L2TP *bool `json:"l2tp,omitempty" doc:"Left out: as it is"`
		Drop bool  `json:"drop,omitempty" doc:"Hang up the connections of what is off then; else they go on"`
	}
	// PPPView is what GET /ppp tells.
	PPPView struct {
		PPPSettings
		Overridden []string `json:"overridden" doc:"Keys of the configuration file that what is set here was laid over"`
	}
	// PPPChange is the body of PATCH /ppp.
	PPPChange struct {
		Authentication []string         `json:"authentication,omitempty" maxItems:"16"`
		MPPE           *string          `json:"mppe,omitempty"`
		MPPEStateful   *bool            `json:"mppe_stateful,omitempty"`
		EchoInterval   *string          `json:"echo_interval,omitempty"`
		EchoFailures   *int             `json:"echo_failures,omitempty"`
		CHAPInterval   *string          `json:"chap_interval,omitempty"`
		MutualPAP      *MutualPAPChange `json:"mutual_pap,omitempty"`
	}
	// MutualPAPChange is what PPPChange has of mutual_pap.
	MutualPAPChange struct {
		User     *string `json:"user,omitempty" doc:"Empty: the server does not show itself"`
		Password *string `json:"password,omitempty"`
	}
	// ShutdownRequest is the body of POST /shutdown.
	ShutdownRequest struct {
		WhenEmpty bool   `json:"when_empty,omitempty" doc:"Take no more calls, and end when the last connection has gone; else at once"`
		Within    string `json:"within,omitempty" doc:"With when_empty: hang up what is left after this time, such as 1h; left out: never"`
	}
)

type (
	oneServiceView struct {
		ETag string `header:"ETag"`
		Body ServiceView
	}
	onePPPView struct {
		ETag string `header:"ETag"`
		Body PPPView
	}
	oneShutdown struct {
		Body ShutdownState
	}
	changeServices struct {
		conditional.Params
		Body ServiceChange
	}
	changePPP struct {
		conditional.Params
		Body PPPChange
	}
)

func (a *API) registerSettings(api huma.API) {
	const access, general, system = "Remote Access Control", "PPP General Setup", "System"
	huma.Register(api, operation("get-services", http.MethodGet, "/services", "Say which VPN services are enabled", access),
		func(context.Context, *struct{}) (*oneServiceView, error) { return a.services(), nil })
	huma.Register(api, operation("change-services", http.MethodPatch, "/services", "Turn VPN services on and off", access,
		http.StatusConflict, http.StatusPreconditionFailed, http.StatusUnprocessableEntity), a.changeServices)
	huma.Register(api, operation("get-ppp", http.MethodGet, "/ppp", "Show what is negotiated with clients", general),
		func(context.Context, *struct{}) (*onePPPView, error) { return a.ppp(), nil })
	huma.Register(api, operation("change-ppp", http.MethodPatch, "/ppp", "Change what is negotiated with clients from now on", general,
		http.StatusPreconditionFailed, http.StatusUnprocessableEntity), a.changePPP)
	huma.Register(api, operation("get-shutdown", http.MethodGet, "/shutdown", "Say whether the daemon is to end", system),
		func(context.Context, *struct{}) (*oneShutdown, error) { return a.shutdown(), nil })
	shut := operation("shut-down", http.MethodPost, "/shutdown", "End the daemon", system, http.StatusConflict, http.StatusUnprocessableEntity)
	shut.DefaultStatus = http.StatusAccepted
	huma.Register(api, shut, a.shutDown)
	huma.Register(api, operation("cancel-shutdown", http.MethodDelete, "/shutdown", "Take calls again", system, http.StatusConflict),
		func(ctx context.Context, _ *struct{}) (*struct{}, error) {
			return nil, problem(a.cfg.Settings.CancelShutdown(ctx))
		})
}

func (a *API) overridden() []string { return append([]string{}, a.cfg.Settings.Overridden()...) }

func (a *API) services() *oneServiceView {
	set := a.cfg.Settings.Services()
	return &oneServiceView{ETag: quotedTag(set), Body: ServiceView{set, a.overridden()}}
}

func (a *API) changeServices(ctx context.Context, in *changeServices) (*oneServiceView, error) {
	err := a.ChangeServices(ctx, in.Body.Drop, func(set *ServiceSet) error {
		if err := unlessChanged(&in.Params, *set); err != nil {
			return err
		}
		apply(&set.PPTP, in.Body.PPTP)
		apply(&set.L2TP, in.Body.L2TP)
		return nil
	})
	if err != nil {
		return nil, problem(err)
	}
	return a.services(), nil
}

// ChangeServices turns services on and off as change says. Change sees them as they are, and nobody else
// changes them meanwhile; its error stops it.
func (a *API) ChangeServices(ctx context.Context, drop bool, change func(*ServiceSet) error) error {
	a.settings.Lock()
	defer a.settings.Unlock()
	set := a.cfg.Settings.Services()
	if err := change(&set); err != nil {
		return err
	}
	return a.cfg.Settings.SetServices(ctx, set, drop)
}

func (a *API) ppp() *onePPPView {
	p := a.cfg.Settings.PPP()
	p.MutualPAP.Password = ""
	return &onePPPView{ETag: quotedTag(p), Body: PPPView{p, a.overridden()}}
}

func (a *API) changePPP(ctx context.Context, in *changePPP) (*onePPPView, error) {
	err := a.ChangePPP(ctx, func(p *PPPSettings) error {
		if err := unlessChanged(&in.Params, *p); err != nil {
			return err
		}
		in.Body.apply(p)
		return nil
	})
	if err != nil {
		return nil, problem(err)
	}
	return a.ppp(), nil
}

// ChangePPP changes PPP General Setup as ChangeServices does services.
func (a *API) ChangePPP(ctx context.Context, change func(*PPPSettings) error) error {
	a.settings.Lock()
	defer a.settings.Unlock()
	p := a.cfg.Settings.PPP()
	if err := change(&p); err != nil {
		return err
	}
	return a.cfg.Settings.SetPPP(ctx, p)
}

// apply puts what is given into the settings.
func (c *PPPChange) apply(p *PPPSettings) {
	if c.Authentication != nil {
		p.Authentication = c.Authentication
	}
	apply(&p.MPPE, c.MPPE)
	apply(&p.MPPEStateful, c.MPPEStateful)
	apply(&p.EchoInterval, c.EchoInterval)
	apply(&p.EchoFailures, c.EchoFailures)
	apply(&p.CHAPInterval, c.CHAPInterval)
	if pap := c.MutualPAP; pap != nil {
		apply(&p.MutualPAP.User, pap.User)
		apply(&p.MutualPAP.Password, pap.Password)
	}
}

func (a *API) shutdown() *oneShutdown { return &oneShutdown{a.cfg.Settings.ShutdownState()} }

func (a *API) shutDown(ctx context.Context, in *struct{ Body ShutdownRequest }) (*oneShutdown, error) {
	within, err := in.Body.within()
	if err == nil {
		err = a.cfg.Settings.ShutDown(ctx, within)
	}
	if err != nil {
		return nil, problem(err)
	}
	return a.shutdown(), nil
}

// within is the time that connections have.
func (r *ShutdownRequest) within() (time.Duration, error) {
	switch {
	case !r.WhenEmpty && r.Within != "":
		return 0, &FieldError{"within", "is of no use without when_empty: set that, too, or leave it out"}
	case !r.WhenEmpty:
		return 0, nil
	case r.Within == "":
		return NoLimit, nil
	}
	within, err := time.ParseDuration(r.Within)
	if err != nil || within <= 0 {
		return 0, &FieldError{"within", "is not a duration; write it as 90s, 30m or 1h"}
	}
	return within, nil
}

// apply sets what is given.
func apply[T any](to, given *T) {
	if given != nil {
		*to = *given
	}
}

// quotedTag is the entity tag of a setting.
func quotedTag(setting any) string { return `"` + settingTag(setting) + `"` }

func settingTag(setting any) string {
	text, _ := json.Marshal(setting) // plain fields
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

// unlessChanged reports that a setting is not any more what the asker has seen.
func unlessChanged(p *conditional.Params, setting any) error {
	if !p.HasConditionalParams() {
		return nil
	}
	if failed := p.PreconditionFailed(settingTag(setting), time.Time{}); failed != nil {
		return failed
	}
	return nil
}
