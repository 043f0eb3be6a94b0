package mgmt

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/netip"
	"strings"
	"time"
	"vpnd/usermgmt"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

const (
	// maxCaptureTime bounds a capture.
	maxCaptureTime = time.Hour
	// writeTime is how long the reader of a capture may stop reading.
	writeTime = 30 * time.Second
)

// CaptureType is the media type of a pcapng file.
const CaptureType = "application/x-pcapng"

// CaptureOf selects the frames to record, by one of User, Connection and Peer, and bounds the
// capture.
type CaptureOf struct {
	User, Connection string
	Peer             netip.Addr
	All              bool // with user data
	Time             time.Duration
	Size             int64 // of the file, in bytes
}

// CaptureWriter writes the file of a capture until the capture ends.
type CaptureWriter func(ctx context.Context, w io.Writer) error

// Captures records PPP frames.
type Captures interface {
	// Begin begins a capture. The caller must call write, which ends the capture when ctx is done,
	// or when the time or the size is reached. The error may be ErrNotFound or ErrFull.
	Begin(ctx context.Context, of CaptureOf) (write CaptureWriter, err error)
}

// Errors of Captures.
var (
	ErrNotFound = errors.New("not found")
	ErrFull     = errors.New("no room")
)

type captureInput struct {
	User       string `query:"user" maxLength:"64" doc:"All connections of this user, each from its first frame, also refused ones"`
	Connection string `query:"connection" maxLength:"64" doc:"One connection, by its id"`
	Peer       string `query:"peer" maxLength:"64" doc:"All calls of an outer address"`
	Frames     string `query:"frames" enum:"control,all" default:"control" doc:"Only control frames, or also user data, decrypted"`
	Duration   string `query:"duration" maxLength:"20" default:"10m" doc:"Such as 90s or 10m; at most 1h"`
	Size       int64  `query:"size" minimum:"1" maximum:"1024" default:"16" doc:"Size limit of the file in MiB"`
}

// of gives the capture that the input asks for. An error names the parameter.
func (in *captureInput) of() (CaptureOf, error) {
	of := CaptureOf{User: in.User, Connection: in.Connection, All: in.Frames == "all", Size: in.Size << 20}
	given := 0
	for _, text := range []string{in.User, in.Connection, in.Peer} {
		if text != "" {
			given++
		}
	}
	wrong := func(where, text string) error {
		return huma.Error422UnprocessableEntity("the request must name exactly one thing to capture", &huma.ErrorDetail{Location: "query." + where, Message: text})
	}
	if given != 1 {
		return of, wrong("user", "name one of user, connection and peer")
	}
	var err error
	if in.Peer != "" {
		if of.Peer, err = netip.ParseAddr(in.Peer); err != nil {
			return of, wrong("peer", "an address such as 203.0.113.9")
		}
		of.Peer = of.Peer.Unmap()
	}
	if of.Time, err = time.ParseDuration(in.Duration); err != nil || of.Time < time.Second || of.Time > maxCaptureTime {
		return of, wrong("duration", "a time from 1s to 1h, such as 10m")
	}
	return of, nil
}

func (a *API) registerCaptures(api huma.API) {
	op := operation("capture", http.MethodPost, "/captures",
		"Record PPP frames as pcapng, without secrets. The answer ends at the limit of duration or size, or when the client disconnects", tagDiagnosis,
		http.StatusNotFound, http.StatusUnprocessableEntity, http.StatusServiceUnavailable)
	op.Responses = map[string]*huma.Response{"200": {
		Description: "A pcapng file with link type PPP_WITH_DIR",
		Content:     map[string]*huma.MediaType{CaptureType: {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}},
	}}
	huma.Register(api, op, func(ctx context.Context, in *captureInput) (*huma.StreamResponse, error) {
		of, err := in.of()
		if err != nil {
			return nil, err
		}
		write, err := a.BeginCapture(ctx, of)
		switch {
		case errors.Is(err, ErrNotFound):
			return nil, huma.Error404NotFound(err.Error())
		case errors.Is(err, ErrFull):
			return nil, huma.Error503ServiceUnavailable(err.Error())
		case err != nil:
			return nil, problem(err)
		}
		return &huma.StreamResponse{Body: func(h huma.Context) {
			_, w := humago.Unwrap(h)
			SendCapture(h.Context(), w, of, write)
		}}, nil
	})
}

// BeginCapture begins a capture as Captures.Begin does.
func (a *API) BeginCapture(ctx context.Context, of CaptureOf) (CaptureWriter, error) {
	return a.cfg.Captures.Begin(ctx, of)
}

// streamed writes a long answer, and ends it if the reader stops reading.
type streamed struct {
	io.Writer
	c *http.ResponseController
}

// SendCapture answers with the file of a capture while write writes it.
func SendCapture(ctx context.Context, w http.ResponseWriter, of CaptureOf, write CaptureWriter) {
	h := w.Header()
	h.Set("Content-Type", CaptureType)
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": of.file(time.Now())}))
	h.Set("X-Accel-Buffering", "no")
	s := &streamed{w, http.NewResponseController(w)}
	_ = write(ctx, s) // the reader has left, or gets a short answer
	_ = s.extend()    // for the end of the answer, after a silence
}

// file is the name of the capture's file.
func (of CaptureOf) file(at time.Time) string {
	name := "vpnd"
	switch {
	case of.User != "":
		name += "-" + of.User
	case of.Connection != "":
		name += "-" + of.Connection
	case of.Peer.IsValid():
		name += "-" + of.Peer.String()
	}
	name = strings.Map(func(r rune) rune {
		if usermgmt.CheckName("x"+string(r)) != nil {
			return '_'
		}
		return r
	}, name)
	return name + at.UTC().Format("-20060102-150405") + ".pcapng"
}

// extend gives the reader writeTime from now on.
func (s *streamed) extend() error {
	if err := s.c.SetWriteDeadline(time.Now().Add(writeTime)); !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}

// Write implements io.Writer.
func (s *streamed) Write(p []byte) (int, error) {
	if err := s.extend(); err != nil {
		return 0, err
	}
	return s.Writer.Write(p)
}

// FlushError sends the bytes that are buffered.
func (s *streamed) FlushError() error {
	if err := s.c.Flush(); !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}
