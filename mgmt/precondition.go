package mgmt

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"vpnd/mgmt/access"
	"vpnd/usermgmt"

	"github.com/danielgtaylor/huma/v2"
)

// An entity tag has two parts, "STATE-VIEW": what is set, which changes when somebody sets it, and all that the answer
// shows, such as counters. If-Match compares only the first part: a counter is no reason to refuse a change.

// Precondition is what a resource has to be for a change to be made (RFC 9110 section 13.1).
type Precondition struct {
	IfMatch     []string `header:"If-Match" doc:"Entity tags from the ETag of earlier answers. If none matches, the answer is 412 and nothing changes"`
	IfNoneMatch []string `header:"If-None-Match" doc:"Entity tags. If one matches, the answer is 412 and nothing changes"`
}

// AsSeen requires that a resource still has a tag of StateTag.
func AsSeen(tag string) Precondition { return Precondition{IfMatch: []string{quoted(tag)}} }

// ErrChanged tells that somebody else has changed a user, or a setting, meanwhile.
var ErrChanged = errors.New("somebody else has made a change meanwhile: look again")

// errUnchanged tells that a resource still has a tag that it must not have.
var errUnchanged = errors.New("a tag of If-None-Match matches")

// holds reports, by ErrChanged or errUnchanged, that a resource with the state is not as it has to be.
func (p *Precondition) holds(state string) error {
	is := func(tag string) bool {
		tag = strings.TrimSpace(tag)
		return tag == "*" || stateOf(tag) == state
	}
	if len(p.IfMatch) > 0 && !slices.ContainsFunc(p.IfMatch, is) {
		return ErrChanged
	}
	if slices.ContainsFunc(p.IfNoneMatch, is) {
		return errUnchanged
	}
	return nil
}

// stateOf is the first part of a strong entity tag; "": it has none.
func stateOf(tag string) string {
	if len(tag) < 2 || tag[0] != '"' || tag[len(tag)-1] != '"' {
		return ""
	}
	state, _, _ := strings.Cut(tag[1:len(tag)-1], "-")
	return state
}

// quoted is the entity tag of a state.
func quoted(state string) string { return `"` + state + `"` }

// StateTag is the fingerprint of what is set, of settings or a user's profile: another one for each
// change, secrets included. It tells nothing of secrets.
func StateTag(set any) string {
	if p, ok := set.(*usermgmt.Profile); ok {
		texts := make([]string, len(usermgmt.Fields))
		for i, f := range usermgmt.Fields {
			texts[i] = f.Get(p)
		}
		return digest([]byte(access.Proof(texts...)))
	}
	text, _ := json.Marshal(set) // plain fields
	if p, ok := set.(PPPSettings); ok {
		return digest(text, []byte(p.MutualPAP.Proof))
	}
	return digest(text)
}

func digest(parts ...[]byte) string {
	h := sha256.New()
	for _, part := range parts {
		h.Write(part)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// taglessChange refuses the change of something that has no tag, if If-Match wants one: none can be right. Those whose
// input has a Precondition look at it themselves.
func taglessChange(api huma.API) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		op := ctx.Operation()
		tag := strings.TrimSpace(ctx.Header("If-Match"))
		if looks(op.Method) || tag == "" || tag == "*" || slices.ContainsFunc(op.Parameters, func(p *huma.Param) bool { return p.Name == "If-Match" }) {
			next(ctx)
			return
		}
		_ = huma.WriteErr(api, ctx, http.StatusPreconditionFailed, "this resource has no entity tag: omit If-Match")
	}
}

// RetryAfter has an answer for which there was no room say after how many seconds to try again.
func RetryAfter(h http.Header, status int) {
	if (status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests) && h.Get("Retry-After") == "" {
		h.Set("Retry-After", "10")
	}
}

func looks(method string) bool { return method == http.MethodGet || method == http.MethodHead }

// tagging completes the tags of answers in JSON, and answers 304 (Not Modified) to If-None-Match. It says when to try again
// what there was no room for.
type tagging struct {
	http.ResponseWriter
	r      *http.Request
	status int
	body   *bytes.Buffer // nil: what is answered is no view of a resource, and goes straight on
}

// WriteHeader implements http.ResponseWriter.
func (t *tagging) WriteHeader(status int) {
	if t.status != 0 {
		return
	}
	t.status = status
	h := t.Header()
	RetryAfter(h, status)
	if status/100 == 2 && h.Get("Content-Type") == "application/json" && (looks(t.r.Method) || h.Get("ETag") != "") {
		t.body = new(bytes.Buffer)
		return
	}
	t.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (t *tagging) Write(p []byte) (int, error) {
	if t.status == 0 {
		t.WriteHeader(http.StatusOK)
	}
	if t.body != nil {
		return t.body.Write(p)
	}
	return t.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (t *tagging) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// end sends what was kept back.
func (t *tagging) end() {
	if t.body == nil {
		return
	}
	h := t.Header()
	view := digest(t.body.Bytes(), []byte(h.Get("X-Total-Count")))
	tag := quoted(view)
	if state := stateOf(h.Get("ETag")); state != "" {
		tag = quoted(state + "-" + view)
	}
	h.Set("ETag", tag)
	if looks(t.r.Method) && hasTag(t.r.Header.Get("If-None-Match"), tag) {
		h.Del("Content-Type")
		h.Del("Content-Length")
		t.ResponseWriter.WriteHeader(http.StatusNotModified)
		return
	}
	t.ResponseWriter.WriteHeader(t.status)
	_, _ = t.ResponseWriter.Write(t.body.Bytes())
}

// hasTag reports whether a list of tags has one, by the weak comparison.
func hasTag(list, tag string) bool {
	for one := range strings.SplitSeq(list, ",") {
		one = strings.TrimPrefix(strings.TrimSpace(one), "W/")
		if one == "*" || one == tag {
			return true
		}
	}
	return false
}
