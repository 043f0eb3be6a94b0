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

// An entity tag has two parts, "STATE-VIEW". STATE covers what is set, and changes when somebody
// sets it. VIEW covers all that the answer shows, such as counters. If-Match compares only STATE: a
// counter is no reason to refuse a change.

// Precondition is the state that a resource must have for a change (RFC 9110 section 13.1).
type Precondition struct {
	IfMatch     []string `header:"If-Match" doc:"Entity tags from the ETag of earlier answers. If none matches, the answer is 412 and nothing changes"`
	IfNoneMatch []string `header:"If-None-Match" doc:"Entity tags. If one matches, the answer is 412 and nothing changes"`
}

// AsSeen requires that a resource still has the tag, which StateTag gave.
func AsSeen(tag string) Precondition { return Precondition{IfMatch: []string{quoted(tag)}} }

// ErrChanged means that somebody else has changed a user or a setting meanwhile.
var ErrChanged = errors.New("somebody else has made a change meanwhile: look again")

// errUnchanged means that a resource still has a tag that it must not have.
var errUnchanged = errors.New("a tag of If-None-Match matches")

// holds gives ErrChanged or errUnchanged if the state of a resource does not meet the precondition.
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

// stateOf gives the first part of a strong entity tag; "": the tag is not a strong one.
func stateOf(tag string) string {
	if len(tag) < 2 || tag[0] != '"' || tag[len(tag)-1] != '"' {
		return ""
	}
	state, _, _ := strings.Cut(tag[1:len(tag)-1], "-")
	return state
}

// quoted is the entity tag of a state.
func quoted(state string) string { return `"` + state + `"` }

// StateTag is the fingerprint of settings or of a user's profile. It changes with each field,
// secrets included, and reveals no secret.
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

// taglessChange refuses a change of a resource without a tag if If-Match names a tag: no tag can
// match. An operation whose input has a Precondition checks it itself.
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

// RetryAfter sets the time to try again, in seconds, on an answer that refuses for lack of room.
func RetryAfter(h http.Header, status int) {
	if (status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests) && h.Get("Retry-After") == "" {
		h.Set("Retry-After", "10")
	}
}

func looks(method string) bool { return method == http.MethodGet || method == http.MethodHead }

// tagging completes the tags of JSON answers, and answers 304 (Not Modified) to If-None-Match. It
// also adds Retry-After to answers that refuse for lack of room.
type tagging struct {
	http.ResponseWriter
	r      *http.Request
	status int
	body   *bytes.Buffer // nil: the answer is not the view of a resource, and is sent at once
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

// Unwrap gives http.ResponseController the writer below.
func (t *tagging) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// end sends the answer that was kept back.
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
