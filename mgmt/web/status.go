package web

import (
	"net/http"
	"strings"
	"time"
	"vpnd/mgmt"
)

type statusData struct {
	mgmt.Status
	Change   bool
	Shutdown mgmt.ShutdownState
	Within   control
	CanEnd   bool // the daemon has settings
	Running  []serviceRun
}

// status shows the daemon and its machine.
func (p *Pages) status(w http.ResponseWriter, r *http.Request) error {
	return p.showStatus(w, r, form{})
}

func (p *Pages) showStatus(w http.ResponseWriter, r *http.Request, f form) error {
	system := p.cfg.API.System()
	if system == nil {
		return fault{http.StatusNotFound, "This daemon has no status."}
	}
	d := statusData{Status: system.Status(r.Context()), Change: mayChange(r)}
	if settings, err := p.settings(); err == nil {
		d.CanEnd, d.Shutdown, d.Running = true, settings.ShutdownState(), p.running(settings)
	}
	d.Within = f.fill(control{
		Name: "within", Label: "Hang up the rest after", Type: "text", Placeholder: "never",
		Hint: "For example 1h. Empty: never. 0s: immediately.",
	})[0]
	v := view{Title: "Status", Data: d}
	v.faulty(&f)
	return p.render(w, r, "status.html", v)
}

// shutDown ends the daemon after its last connection, or cancels that.
func (p *Pages) shutDown(w http.ResponseWriter, r *http.Request) error {
	settings, err := p.settings()
	if err != nil {
		return err
	}
	if r.PostForm.Get("do") == "cancel" {
		if !settings.ShutdownState().Pending { // the page was an old one
			return failed(w, r, "/status", "No shutdown is pending.")
		}
		if err := p.cfg.API.CancelShutdown(r.Context(), mgmt.Precondition{}); err != nil {
			return failed(w, r, "/status", "The shutdown was not cancelled: "+err.Error())
		}
		return done(w, r, "/status", "The shutdown is cancelled. The daemon accepts calls again.")
	}
	within := mgmt.NoLimit
	if text := strings.TrimSpace(r.PostForm.Get("within")); text != "" {
		f := form{values: r.PostForm}
		if within, err = time.ParseDuration(text); err != nil || within < 0 {
			f.wrong("within", "is not a time such as 30m or 1h.")
			return p.showStatus(w, r, f)
		}
	}
	if err := p.cfg.API.ShutDown(r.Context(), mgmt.Precondition{}, within); err != nil {
		return failed(w, r, "/status", "The daemon keeps running: "+err.Error())
	}
	return done(w, r, "/status", "The daemon accepts no new calls, and ends after the last connection.")
}
