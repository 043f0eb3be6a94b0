package mgmt

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

type (
	// ServiceView is the answer of GET /services.
	ServiceView struct {
		ServiceSet
		Overridden []string `json:"overridden" doc:"Keys of the configuration file that these settings override"`
	}
	// ServiceChange is the body of PATCH /services.
	ServiceChange struct {
		PPTP *bool `json:"pptp,omitempty" doc:"Missing: unchanged"`
		L2TP *bool `json:"l2tp,omitempty" doc:"Missing: unchanged"`
		Drop bool  `json:"drop,omitempty" doc:"Hang up the connections of services that are off. Otherwise they stay"`

		Overridden shown `json:"overridden,omitzero"`
	}
	// PPPView is the answer of GET /ppp.
	PPPView struct {
		PPPSettings
		Overridden []string `json:"overridden" doc:"Keys of the configuration file that these settings override"`
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

		Overridden shown `json:"overridden,omitzero"`
	}
	// MutualPAPChange is the member mutual_pap of PPPChange.
	MutualPAPChange struct {
		User     *string `json:"user,omitempty" doc:"Empty: the server does not authenticate itself"`
		Password *string `json:"password,omitempty"`

		HasPassword shown `json:"has_password,omitzero"`
	}
	// ShutdownRequest is the body of POST /shutdown.
	ShutdownRequest struct {
		WhenEmpty bool   `json:"when_empty,omitempty" doc:"Accept no new calls, and end after the last connection. Otherwise end immediately"`
		Within    string `json:"within,omitempty" doc:"With when_empty: hang up the rest after this time, such as 1h. Missing: never"`
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
		ETag string `header:"ETag"`
		Body ShutdownState
	}
	shutDown struct {
		Precondition
		Body ShutdownRequest
	}
	changeServices struct {
		Precondition
		Body ServiceChange
	}
	changePPP struct {
		Precondition
		Body PPPChange
	}
)

func (a *API) registerSettings(api huma.API) {
	huma.Register(api, operation("get-services", http.MethodGet, "/services", "Show which VPN services are on", tagAccess),
		func(context.Context, *struct{}) (*oneServiceView, error) { return a.services(), nil })
	huma.Register(api, operation("change-services", http.MethodPatch, "/services", "Turn VPN services on and off", tagAccess,
		http.StatusConflict, http.StatusPreconditionFailed, http.StatusUnprocessableEntity), a.changeServices)
	huma.Register(api, operation("get-ppp", http.MethodGet, "/ppp", "Show the settings for the negotiation with clients", tagGeneral),
		func(context.Context, *struct{}) (*onePPPView, error) { return a.ppp(), nil })
	huma.Register(api, operation("change-ppp", http.MethodPatch, "/ppp", "Change the settings for the negotiation with new clients", tagGeneral,
		http.StatusPreconditionFailed, http.StatusUnprocessableEntity), a.changePPP)
	huma.Register(api, operation("get-shutdown", http.MethodGet, "/shutdown", "Show whether a shutdown is pending", tagSystem),
		func(context.Context, *struct{}) (*oneShutdown, error) { return a.shutdown(), nil })
	shut := operation("shut-down", http.MethodPost, "/shutdown", "End the daemon", tagSystem,
		http.StatusConflict, http.StatusPreconditionFailed, http.StatusUnprocessableEntity)
	shut.DefaultStatus = http.StatusAccepted
	huma.Register(api, shut, a.shutDown)
	huma.Register(api, operation("cancel-shutdown", http.MethodDelete, "/shutdown", "Cancel a pending shutdown", tagSystem,
		http.StatusConflict, http.StatusPreconditionFailed), a.cancelShutdown)
}

func (a *API) overridden() []string { return append([]string{}, a.cfg.Settings.Overridden()...) }

func (a *API) services() *oneServiceView {
	set := a.cfg.Settings.Services()
	return &oneServiceView{ETag: quoted(StateTag(set)), Body: ServiceView{set, a.overridden()}}
}

func (a *API) changeServices(ctx context.Context, in *changeServices) (*oneServiceView, error) {
	if err := a.ChangeServices(ctx, in.Precondition, in.Body.Drop, sets(in.Body.apply)); err != nil {
		return nil, problem(err)
	}
	return a.services(), nil
}

// ChangeServices turns services on and off as change says, if the precondition holds. Change gets
// the current services, and nobody else changes them meanwhile. If change gives an error, nothing
// changes.
func (a *API) ChangeServices(ctx context.Context, provided Precondition, drop bool, change func(*ServiceSet) error) error {
	return changed(a, provided, a.cfg.Settings.Services, change, func(to ServiceSet) error { return a.cfg.Settings.SetServices(ctx, to, drop) })
}

// changed does the work of ChangeServices and of the methods like it.
func changed[S any](a *API, provided Precondition, now func() S, change func(*S) error, set func(S) error) error {
	a.settings.Lock()
	defer a.settings.Unlock()
	s := now()
	err := provided.holds(StateTag(s))
	if err == nil {
		err = change(&s)
	}
	if err != nil {
		return err
	}
	return set(s)
}

// sets makes a change of a function that cannot fail.
func sets[S any](apply func(*S)) func(*S) error {
	return func(s *S) error {
		apply(s)
		return nil
	}
}

// apply puts the given fields into the services.
func (c *ServiceChange) apply(set *ServiceSet) {
	apply(&set.PPTP, c.PPTP)
	apply(&set.L2TP, c.L2TP)
}

func (a *API) ppp() *onePPPView {
	p := a.cfg.Settings.PPP()
	p.MutualPAP.Password = ""
	return &onePPPView{ETag: quoted(StateTag(p)), Body: PPPView{p, a.overridden()}}
}

func (a *API) changePPP(ctx context.Context, in *changePPP) (*onePPPView, error) {
	if err := a.ChangePPP(ctx, in.Precondition, sets(in.Body.apply)); err != nil {
		return nil, problem(err)
	}
	return a.ppp(), nil
}

// ChangePPP changes PPP General Setup as ChangeServices changes services.
func (a *API) ChangePPP(ctx context.Context, provided Precondition, change func(*PPPSettings) error) error {
	return changed(a, provided, a.cfg.Settings.PPP, change, func(to PPPSettings) error { return a.cfg.Settings.SetPPP(ctx, to) })
}

// apply puts the given fields into the settings.
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

func (a *API) shutdown() *oneShutdown {
	s := a.cfg.Settings.ShutdownState()
	return &oneShutdown{quoted(shutdownTag(s)), s}
}

// shutdownTag is the tag of the requested shutdown. It leaves out the number of connections, which
// changes by itself.
func shutdownTag(s ShutdownState) string {
	s.Connections = 0
	return StateTag(s)
}

func (a *API) cancelShutdown(ctx context.Context, in *Precondition) (*struct{}, error) {
	return nil, problem(a.CancelShutdown(ctx, *in))
}

// CancelShutdown cancels a pending shutdown, if the precondition holds: the daemon takes calls
// again.
func (a *API) CancelShutdown(ctx context.Context, provided Precondition) error {
	a.settings.Lock()
	defer a.settings.Unlock()
	if err := provided.holds(shutdownTag(a.cfg.Settings.ShutdownState())); err != nil {
		return err
	}
	return a.cfg.Settings.CancelShutdown(ctx)
}

func (a *API) shutDown(ctx context.Context, in *shutDown) (*oneShutdown, error) {
	within, err := in.Body.within()
	if err == nil {
		err = a.ShutDown(ctx, in.Precondition, within)
	}
	if err != nil {
		return nil, problem(err)
	}
	return a.shutdown(), nil
}

// ShutDown ends the daemon as Settings.ShutDown does, if the precondition holds.
func (a *API) ShutDown(ctx context.Context, provided Precondition, within time.Duration) error {
	a.settings.Lock()
	defer a.settings.Unlock()
	if err := provided.holds(shutdownTag(a.cfg.Settings.ShutdownState())); err != nil {
		return err
	}
	return a.cfg.Settings.ShutDown(ctx, within)
}

// within is how long open connections may stay.
func (r *ShutdownRequest) within() (time.Duration, error) {
	switch {
	case !r.WhenEmpty && r.Within != "":
		return 0, &FieldError{"within", "also requires when_empty: set it, or omit within"}
	case !r.WhenEmpty:
		return 0, nil
	case r.Within == "":
		return NoLimit, nil
	}
	within, err := time.ParseDuration(r.Within)
	if err != nil || within <= 0 {
		return 0, &FieldError{"within", "is not a duration: write it as 90s, 30m or 1h"}
	}
	return within, nil
}

// apply sets *to to the given value, if there is one.
func apply[T any](to, given *T) {
	if given != nil {
		*to = *given
	}
}
