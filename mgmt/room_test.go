package mgmt_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"vpnd/mgmt"
)

// noCaptures has no room for a capture.
type noCaptures struct{}

func (noCaptures) Begin(context.Context, mgmt.CaptureOf) (mgmt.CaptureWriter, error) {
	return nil, mgmt.ErrFull
}

// wantNoRoom checks that an answer refuses for lack of room, and says when to try again.
func wantNoRoom(t *testing.T, resp *http.Response) {
	t.Helper()
	var p mgmt.ProblemError
	err := json.NewDecoder(resp.Body).Decode(&p)
	if err != nil || resp.StatusCode != http.StatusServiceUnavailable || p.Status != resp.StatusCode || p.Detail == "" ||
		resp.Header.Get("Content-Type") != "application/problem+json" || resp.Header.Get("Retry-After") != "10" {
		t.Errorf("%s, %v, %+v, %v", resp.Status, resp.Header, p, err)
	}
}

// A stream without room is refused before it begins.
func TestNoRoomForAStream(t *testing.T) {
	b := setUp(t)
	events := func() (status int) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://vpnd/api/v1/events", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := b.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = resp.Body.Close() })
		if resp.StatusCode != http.StatusOK {
			wantNoRoom(t, resp)
		}
		return resp.StatusCode
	}
	open := 0
	for open < 100 && events() == http.StatusOK {
		open++
	}
	if open != 20 || b.api.Listeners() != open {
		t.Errorf("%d streams of one, %d listeners", open, b.api.Listeners())
	}

	api := mgmt.New(mgmt.Config{Sessions: b.sessions, Users: b.store, History: b.store, Settings: b.settings, Clock: clock{}, Version: "1", Captures: noCaptures{}})
	w := httptest.NewRecorder()
	api.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/api/v1/captures?user=alice", strings.NewReader("")))
	wantNoRoom(t, w.Result())
}
