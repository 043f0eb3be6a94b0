package web

import (
	"net/http"
	"strings"
	"testing"
)

func TestHome(t *testing.T) {
	b := setUp(t)
	b.connect(3)
	w := b.ask(administrator, "/", nil)
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "<h1>Connection Management</h1>") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
