package mgmt

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// A name that occurs twice has two meanings, and readers silently take one of them. Such a request
// is refused.

// maxDepth is how deep a body is checked. No setting is nested as deep.
const maxDepth = 16

var errDeep = errors.New("too deep")

// checkedQuery refuses a query that repeats a parameter.
func checkedQuery(api huma.API) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		at := ctx.URL()
		query := at.Query() // it can be read: see unreadable
		var twice []error
		for _, name := range slices.Sorted(maps.Keys(query)) {
			if len(query[name]) > 1 {
				twice = append(twice, &huma.ErrorDetail{Location: "query." + name, Message: "appears twice: give it once, with commas between the values of a list"})
			}
		}
		if len(twice) > 0 {
			_ = huma.WriteErr(api, ctx, http.StatusBadRequest, "a parameter appears twice", twice...)
			return
		}
		next(ctx)
	}
}

// checkedBody refuses a body that repeats a key, and a change to null.
func checkedBody(api huma.API) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		op := ctx.Operation()
		if op.RequestBody == nil {
			next(ctx)
			return
		}
		_ = ctx.SetReadDeadline(time.Now().Add(op.BodyReadTimeout)) // as huma does, which reads it next
		body, _ := io.ReadAll(io.LimitReader(ctx.BodyReader(), op.MaxBodyBytes+1))
		schema := op.RequestBody.Content["application/json"].Schema
		twice, err := keyTwice(api, schema, json.NewDecoder(bytes.NewReader(body)), "body", maxDepth)
		if err == nil && twice != "" { // huma reports a body that is not JSON
			_ = huma.WriteErr(api, ctx, http.StatusBadRequest, "a key appears twice", &huma.ErrorDetail{
				Location: twice, Message: "appears twice: give it once, in lower case",
			})
			return
		}
		if nulls := nullsIn(api, schema, body, "body"); op.Method == http.MethodPatch && len(nulls) > 0 {
			_ = huma.WriteErr(api, ctx, http.StatusUnprocessableEntity, "validation failed", nulls...)
			return
		}
		next(bodyContext{ctx, io.MultiReader(bytes.NewReader(body), ctx.BodyReader())})
	}
}

// keyTwice finds a key that the next value repeats, in itself or in the values inside it, down to
// depth levels. It gives "" if there is none. Upper and lower case make no difference to names of
// the schema, as in package json, but they do to keys of a map, such as names of pools. The error
// is that of invalid JSON.
func keyTwice(api huma.API, schema *huma.Schema, dec *json.Decoder, at string, depth int) (string, error) {
	token, err := dec.Token()
	if err != nil || token != json.Delim('{') && token != json.Delim('[') {
		return "", err
	}
	if depth == 0 {
		return "", errDeep
	}
	if schema != nil && schema.Ref != "" {
		schema = api.OpenAPI().Components.Schemas.SchemaFromRef(schema.Ref)
	}
	seen := map[string]bool{}
	for i := 0; dec.More(); i++ {
		where, inner := fmt.Sprintf("%s[%d]", at, i), items(schema)
		if token == json.Delim('{') {
			key, err := dec.Token()
			if err != nil {
				return "", err
			}
			var name string
			name, inner = member(schema, key.(string)) // an object's decoder gives no other key
			if where = at + "." + name; seen[name] {
				return where, nil
			}
			seen[name] = true
		}
		if twice, err := keyTwice(api, inner, dec, where, depth-1); twice != "" || err != nil {
			return twice, err
		}
	}
	_, err = dec.Token() // the end
	return "", err
}

func items(schema *huma.Schema) *huma.Schema {
	if schema == nil {
		return nil
	}
	return schema.Items
}

// member gives the schema of an object's key, and the key's name in the schema.
func member(schema *huma.Schema, key string) (string, *huma.Schema) {
	if schema == nil {
		return key, nil
	}
	for name, inner := range schema.Properties {
		if strings.EqualFold(name, key) {
			return name, inner
		}
	}
	inner, _ := schema.AdditionalProperties.(*huma.Schema)
	return key, inner
}
