package web

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"
	"vpnd/mgmt"
)

// captureSize bounds a file, in bytes.
const captureSize = 64 << 20

// captureMinutes are the choices for the length of a capture.
var captureMinutes = []int{1, 10}

// captureForm asks for a capture of a user or of a connection.
type captureForm struct {
	User, Connection string
	Who              string // the subject of the capture, for people
	Frames, Minutes  control
}

// captureOf makes the form. Either user or connection is empty.
func captureOf(user, connection, who string) captureForm {
	f := captureForm{User: user, Connection: connection, Who: who}
	f.Frames = control{Name: "frames", ID: "capture-frames", Label: "Frames", Type: "select", Options: []option{
		{"control", "Control frames", true}, {"all", "All, with user data", false},
	}}
	f.Minutes = control{Name: "minutes", ID: "capture-minutes", Label: "Duration", Type: "select"}
	for i, n := range captureMinutes {
		o := option{strconv.Itoa(n), strconv.Itoa(n) + " minutes", i == 0}
		if n == 1 {
			o.Text = "1 minute"
		}
		f.Minutes.Options = append(f.Minutes.Options, o)
	}
	return f
}

// askCapture asks how to capture a connection.
func (p *Pages) askCapture(w http.ResponseWriter, r *http.Request) error {
	id := r.URL.Query().Get("connection")
	for _, c := range p.cfg.API.Connections(mgmt.ConnectionQuery{}) {
		if c.ID == id {
			who := c.User + ", " + c.Type + " from " + c.RemoteIP.String()
			return p.render(w, r, "capture.html", view{Title: "Capture", Data: captureOf("", id, who)})
		}
	}
	return fault{http.StatusNotFound, "This connection has ended. A user's page captures the next one from its first frame."}
}

// capture answers with a file that grows for as long as the form says.
func (p *Pages) capture(w http.ResponseWriter, r *http.Request) error {
	form := r.PostForm
	of := mgmt.CaptureOf{User: form.Get("user"), Connection: form.Get("connection"), All: form.Get("frames") == "all", Size: captureSize}
	if (of.User == "") == (of.Connection == "") {
		return fault{http.StatusUnprocessableEntity, "There is nothing to capture. Choose a user or a connection."}
	}
	minutes, err := strconv.Atoi(form.Get("minutes"))
	if err != nil || minutes < 1 || minutes > captureMinutes[len(captureMinutes)-1] {
		return fault{http.StatusUnprocessableEntity, "A capture takes 1 to 10 minutes. Choose a time from the list."}
	}
	of.Time = time.Duration(minutes) * time.Minute
	write, err := p.beginCapture(r.Context(), of)
	if err != nil {
		return err
	}
	mgmt.SendCapture(r.Context(), w, of, write)
	return nil
}

func (p *Pages) beginCapture(ctx context.Context, of mgmt.CaptureOf) (mgmt.CaptureWriter, error) {
	write, err := p.cfg.API.BeginCapture(ctx, of)
	switch {
	case errors.Is(err, mgmt.ErrNotFound):
		return nil, fault{http.StatusNotFound, "This connection has ended. A user's page captures the next one from its first frame."}
	case errors.Is(err, mgmt.ErrFull):
		return nil, fault{http.StatusServiceUnavailable, "Too many captures are running. Wait until one ends, or end one."}
	}
	return write, err
}
