package mgmt

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
)

// Groups of operations, which are the tags of the document.
const (
	tagConnections    = "Connection Management"
	tagUsers          = "Remote Dial-in Users"
	tagAccess         = "Remote Access Control"
	tagGeneral        = "PPP General Setup"
	tagPools          = "Address pools"
	tagTime           = "Time and Date"
	tagStatus         = "Status"
	tagSystem         = "System"
	tagHistory        = "History"
	tagEvents         = "Events"
	tagDiagnosis      = "Diagnosis"
	tagConnect        = "Connect a client"
	tagAdministrators = "Administrators"
	tagTokens         = "API tokens"
)

var tags = []*huma.Tag{
	{Name: tagConnections, Description: "The connections that are open."},
	{Name: tagUsers, Description: "The users that may dial in."},
	{Name: tagAccess, Description: "The VPN services that are on."},
	{Name: tagGeneral, Description: "Settings for the negotiation with clients."},
	{Name: tagPools, Description: "The addresses that clients get."},
	{Name: tagTime, Description: "The clock for one-time passwords."},
	{Name: tagStatus, Description: "The daemon and its machine."},
	{Name: tagSystem, Description: "Shutdown of the daemon."},
	{Name: tagHistory, Description: "Past events."},
	{Name: tagEvents, Description: "Events as they happen."},
	{Name: tagDiagnosis, Description: "The reasons of failed dial-ins."},
	{Name: tagConnect, Description: "How to set up clients."},
	{Name: tagAdministrators, Description: "The people who may manage the daemon."},
	{Name: tagTokens, Description: "Secrets with which programs manage the daemon."},
}

// describe writes the parts of the document that describe the API as a whole.
func describe(d *huma.OpenAPI) {
	d.Info.Description = "Connection Management of a VPN concentrator for PPTP and L2TP dial-in."
	d.Info.License = &huma.License{Name: "MIT", Identifier: "MIT"}
	d.Info.Contact = &huma.Contact{Name: "The vpnd authors"}
	d.Servers = []*huma.Server{{URL: "/", Description: "The daemon that this document comes from"}}
	d.Tags = tags
	d.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"token":   {Type: "http", Scheme: "bearer", Description: "An API token. The Unix socket needs none: only root and the daemon's own user may use it."},
		"session": {Type: "apiKey", In: "cookie", Name: "__Host-vpnd", Description: "The cookie of a session of the pages."},
	}
	d.Security = []map[string][]string{{"token": {}}, {"session": {}}}
}

// operation makes an operation with the members that all operations have.
func operation(id, method, path, summary, tag string, errors ...int) huma.Operation {
	errors = append(errors, http.StatusBadRequest, http.StatusUnauthorized, http.StatusUnprocessableEntity)
	description := summary + "."
	if !looks(method) {
		errors = append(errors, http.StatusForbidden, http.StatusPreconditionFailed)
		description += " Viewers may not do this."
	}
	slices.Sort(errors)
	return huma.Operation{
		OperationID: id, Method: method, Path: "/api/v1" + path, Summary: summary, Description: description, Tags: []string{tag},
		Errors: slices.Compact(errors), MaxBodyBytes: maxBody,
	}
}

// complete adds the parts that all operations of a kind share, however they are registered.
func complete(d *huma.OpenAPI) {
	for _, item := range d.Paths {
		for _, op := range []*huma.Operation{item.Post, item.Patch} {
			if op == nil || op.RequestBody == nil {
				continue
			}
			for _, status := range []int{http.StatusRequestTimeout, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType} {
				op.Responses[strconv.Itoa(status)] = &huma.Response{
					Description: http.StatusText(status), Content: op.Responses[strconv.Itoa(http.StatusUnprocessableEntity)].Content,
				}
			}
		}
		if op := item.Get; op != nil && op.Responses["200"].Content["application/json"] != nil {
			viewed(op)
		}
	}
}

// viewed documents the tag of an operation's answer.
func viewed(op *huma.Operation) {
	text := &huma.Schema{Type: huma.TypeString}
	good := op.Responses["200"]
	if good.Headers == nil {
		good.Headers = map[string]*huma.Param{}
	}
	good.Headers["ETag"] = &huma.Param{Schema: text, Description: "Tag of the answer, for If-None-Match, and for If-Match if the resource can be changed"}
	op.Responses["304"] = &huma.Response{Description: "Not modified: a tag of If-None-Match matches", Headers: good.Headers}
	op.Parameters = append(op.Parameters, &huma.Param{
		Name: "If-None-Match", In: "header", Schema: text, Description: "Entity tags from the ETag of earlier answers. If one matches, the answer is 304 without a body",
	})
}
