package config

import (
	"testing"

	"go.yaml.in/yaml/v3"
)

// The file of defaults has every key, so the reference that is generated from it has every key.
func TestDefaultsHaveEveryKey(t *testing.T) {
	var file map[string]any
	if err := yaml.Unmarshal(defaults, &file); err != nil {
		t.Fatal(err)
	}
	checkKeys(t, new(Config).fields(), file, "")
}

func checkKeys(t *testing.T, fields section, file map[string]any, at string) {
	t.Helper()
	for key, field := range fields {
		value, ok := file[key]
		if !ok {
			t.Errorf("default.yaml lacks %s%s: add it with a comment", at, key)
		}
		if below, ok := field.(section); ok {
			inner, _ := value.(map[string]any)
			checkKeys(t, below, inner, at+key+".")
		}
	}
}
