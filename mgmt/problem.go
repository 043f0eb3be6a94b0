package mgmt

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"vpnd/auth"
	"vpnd/internal/state"
	"vpnd/mgmt/access"
	"vpnd/usermgmt"

	"github.com/danielgtaylor/huma/v2"
)

// ProblemError is an answer that reports an error (RFC 9457). It repeats nothing of the request's
// body, which may hold a secret.
type ProblemError struct {
	Title  string         `json:"title" doc:"What the status means"`
	Status int            `json:"status" doc:"The HTTP status"`
	Detail string         `json:"detail" doc:"What is wrong, and how to fix it"`
	Errors []ProblemField `json:"errors,omitempty" doc:"What is wrong with each field or parameter"`
}

// ProblemField is the fault of one field or parameter.
type ProblemField struct {
	Location string `json:"location,omitempty" doc:"Such as body.motp_secret or query.limit"`
	Message  string `json:"message" doc:"What is wrong, and how to fix it"`
}

// Error implements error.
func (p *ProblemError) Error() string { return p.Detail }

// GetStatus implements huma.StatusError.
func (p *ProblemError) GetStatus() int { return p.Status }

// ContentType implements huma.ContentTypeFilter.
func (p *ProblemError) ContentType(string) string { return "application/problem+json" }

// newProblem makes a ProblemError of the faults that huma finds. Huma's own error repeats the wrong
// values.
func newProblem(status int, text string, errs ...error) huma.StatusError {
	p := &ProblemError{Title: http.StatusText(status), Status: status, Detail: text}
	for _, err := range errs {
		switch d := huma.ErrorDetailer(nil); {
		case err == nil:
		case errors.As(err, &d):
			p.Errors = append(p.Errors, problemField(status, d.ErrorDetail()))
		default:
			p.Errors = append(p.Errors, ProblemField{Message: err.Error()})
		}
	}
	return p
}

// problemField is the fault that huma finds in a field. If the body cannot be read at all, the text
// is our own, because the decoder's text repeats parts of the body.
func problemField(status int, d *huma.ErrorDetail) ProblemField {
	f := ProblemField{d.Location, d.Message}
	if f.Location != "body" {
		return f
	}
	switch _, whole := d.Value.(string); {
	case !whole:
	case status == http.StatusUnsupportedMediaType:
		f.Message = "must be JSON: send it with Content-Type: application/json"
	case status == http.StatusBadRequest:
		f.Message = "is not JSON in UTF-8: send an object such as {\"comment\": \"text\"}"
	default:
		f.Message = "cannot be read: /api/v1/openapi.json describes each field"
	}
	return f
}

// Field names must match the document exactly. Otherwise huma accepts another spelling, and
// overlooks a null in that field.
func init() { huma.NewError, huma.ValidateStrictCasing = newProblem, true }

// problem makes a problem document (RFC 9457) of an error. It names the wrong field and the fix.
func problem(err error) error {
	if err == nil {
		return nil
	}
	if status := huma.StatusError(nil); errors.As(err, &status) {
		return status
	}
	if rules := Rules(err); len(rules) > 0 {
		details := make([]error, len(rules))
		for i, r := range rules {
			details[i] = &huma.ErrorDetail{Location: "body." + strings.ReplaceAll(r.Field, "-", "_"), Message: r.Text}
		}
		return huma.Error422UnprocessableEntity("the profile breaks a rule", details...)
	}
	if enrol := (*auth.EnrolError)(nil); errors.As(err, &enrol) || errors.Is(err, auth.ErrNoToken) {
		return huma.Error422UnprocessableEntity("the code is not accepted", &huma.ErrorDetail{Location: "body.code", Message: err.Error()})
	}
	if fields := FieldErrors(err); len(fields) > 0 {
		details := make([]error, len(fields))
		for i, f := range fields {
			details[i] = &huma.ErrorDetail{Location: "body." + f.Field, Message: f.Text}
		}
		return huma.Error422UnprocessableEntity("the settings break a rule", details...)
	}
	conflict := (*ConflictError)(nil)
	switch {
	case errors.Is(err, ErrChanged):
		return huma.Error412PreconditionFailed(err.Error(), &huma.ErrorDetail{Location: "header.If-Match", Message: "is not the current tag"})
	case errors.Is(err, errUnchanged):
		return huma.Error412PreconditionFailed(err.Error(), &huma.ErrorDetail{Location: "header.If-None-Match", Message: "is the current tag"})
	case errors.As(err, &conflict):
		return huma.Error409Conflict(err.Error())
	case is(err, auth.ErrNoUser, state.ErrNoAdministrator, state.ErrNoToken):
		return huma.Error404NotFound(err.Error())
	case is(err, usermgmt.ErrExists, state.ErrAdministratorExists, state.ErrTokenExists, state.ErrLastAdministrator, state.ErrTooMany):
		return huma.Error409Conflict(err.Error())
	case errors.Is(err, access.ErrLimited):
		return huma.Error429TooManyRequests(err.Error())
	default:
		return huma.Error500InternalServerError(err.Error())
	}
}

// is reports whether err is one of kinds.
func is(err error, kinds ...error) bool {
	return slices.ContainsFunc(kinds, func(kind error) bool { return errors.Is(err, kind) })
}

// Rules are all RuleErrors in err.
func Rules(err error) []*usermgmt.RuleError { return allOf[*usermgmt.RuleError](err) }

// FieldErrors are all FieldErrors in err.
func FieldErrors(err error) []*FieldError { return allOf[*FieldError](err) }

// allOf are all errors of a type in err.
func allOf[E error](err error) []E {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []E
		for _, e := range joined.Unwrap() {
			all = append(all, allOf[E](e)...)
		}
		return all
	}
	var one E
	if errors.As(err, &one) {
		return []E{one}
	}
	return nil
}
