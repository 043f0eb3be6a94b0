package exchange

import (
	"encoding/json"
	"io"
	"vpnd/usermgmt"
)

// JSON is written for programs. It is also YAML, and is read as such.
const JSON Format = "json"

// writeJSON writes the same keys and texts as writeYAML, so that the YAML reader reads them.
func writeJSON(w io.Writer, users []usermgmt.Profile, fields []usermgmt.Field) error {
	list := make([]map[string]string, len(users))
	for i, p := range users {
		list[i] = map[string]string{"name": p.Name}
		for _, f := range fields {
			list[i][f.Name] = f.Get(&p)
		}
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(map[string]any{"users": list})
}
