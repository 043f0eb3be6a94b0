package mgmt

import (
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// NumberText is a field that is shown as a number and written as a text with a unit. Either is taken.
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

// ListText is a field that is shown as a list of words and written as a text with commas. Either is taken.
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

// shown is a field that an answer has and a request need not: what is read can be written back whole.
type shown struct{}

// Schema implements huma.SchemaProvider.
func (shown) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{ReadOnly: true, Description: "As an answer has it; a request may leave it out, and it is not looked at"}
}

// UnmarshalJSON implements json.Unmarshaler.
func (*shown) UnmarshalJSON([]byte) error { return nil }
