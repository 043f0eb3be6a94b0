package web

import "net/http"

func (p *Pages) connections(w http.ResponseWriter, r *http.Request) error {
	return p.render(w, r, "connections.html", view{Title: "Connection Management"})
}
