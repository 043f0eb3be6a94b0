package mgmt

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// NumberText is a field that is shown as a number and written as a number or as a text with a unit.
type NumberText string

// Schema implements huma.SchemaProvider.
func (NumberText) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{AnyOf: []*huma.Schema{{Type: huma.TypeInteger}, {Type: huma.TypeString}}}
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *NumberText) UnmarshalJSON(data []byte) error {
	if data[0] == '"' {
		return json.Unmarshal(data, (*string)(t))
	}
	text := string(data)
	if _, err := strconv.ParseUint(text, 10, 64); err != nil {
		f, err := strconv.ParseFloat(text, 64) // as 3e2, or 300.0
		if err != nil || f != math.Trunc(f) || math.Abs(f) >= 1<<53 {
			return errors.New("is not a whole number")
		}
		text = strconv.FormatInt(int64(f), 10)
	}
	*t = NumberText(text)
	return nil
}

// YesNoText is a field that is shown and written as true or false.
type YesNoText string

// Schema implements huma.SchemaProvider.
func (YesNoText) Schema(huma.Registry) *huma.Schema { return &huma.Schema{Type: huma.TypeBoolean} }

// UnmarshalJSON implements json.Unmarshaler.
func (t *YesNoText) UnmarshalJSON(data []byte) error {
	var yes bool
	err := json.Unmarshal(data, &yes)
	if *t = "no"; yes {
		*t = "yes"
	}
	return err
}

// ListText is a field that is shown as a list of words and written as a list or as a text with
// commas.
type ListText string

// Schema implements huma.SchemaProvider.
func (ListText) Schema(huma.Registry) *huma.Schema {
	words := &huma.Schema{Type: huma.TypeArray, Items: &huma.Schema{Type: huma.TypeString}}
	return &huma.Schema{AnyOf: []*huma.Schema{words, {Type: huma.TypeString}}}
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *ListText) UnmarshalJSON(data []byte) error {
	if data[0] == '"' {
		return json.Unmarshal(data, (*string)(t))
	}
	var words []string
	err := json.Unmarshal(data, &words)
	*t = ListText(strings.Join(words, ","))
	return err
}

// NullText is a text field that null clears.
type NullText struct{ text *string }

// Schema implements huma.SchemaProvider.
func (NullText) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Nullable: true}
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *NullText) UnmarshalJSON(data []byte) error {
	t.text = new(string) // null leaves it empty
	return json.Unmarshal(data, t.text)
}

// shown is a field that answers have and requests may repeat, so that clients can write back a
// whole answer.
type shown struct{}

// Schema implements huma.SchemaProvider.
func (shown) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{ReadOnly: true, Description: "Read-only: requests may contain it, but it is ignored"}
}

// UnmarshalJSON implements json.Unmarshaler.
func (*shown) UnmarshalJSON([]byte) error { return nil }

// nullsIn finds the null fields of an object, at any depth, that can be set, but not to null. In a
// change, some clients mean "leave it" by a null, and others mean "remove it".
func nullsIn(api huma.API, schema *huma.Schema, data []byte, where string) (nulls []error) {
	if schema.Ref != "" {
		schema = api.OpenAPI().Components.Schemas.SchemaFromRef(schema.Ref)
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(data, &fields) != nil {
		return nil // huma says what is wrong
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		field := schema.Properties[name]
		switch at := where + "." + name; {
		case field == nil || field.ReadOnly || field.Nullable && field.Type == huma.TypeString: // a NullText; huma makes all lists nullable
		case string(fields[name]) == "null":
			nulls = append(nulls, &huma.ErrorDetail{Location: at, Message: "must not be null: omit the field, or give a value, such as an empty one"})
		default:
			nulls = append(nulls, nullsIn(api, field, fields[name], at)...)
		}
	}
	return nulls
}

// humaContext renames huma.Context for embedding: the interface has a method Context.
type humaContext = huma.Context

// bodyContext is a request whose body was read and can be read again.
type bodyContext struct {
	humaContext
	body io.Reader
}

// BodyReader implements huma.Context.
func (c bodyContext) BodyReader() io.Reader { return c.body }

// Unwrap gives huma's adapters the context below.
func (c bodyContext) Unwrap() huma.Context { return c.humaContext }
