package exchange

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"vpnd/usermgmt"

	"go.yaml.in/yaml/v3"
)

const yamlHead = `Users of vpnd: vpnd user import --replace reads them. Fields that are missing stay as they are.
An empty value is the default of a new user.`

// readYAML reads all documents of a file. A line --- begins the next one.
func (r *reader) readYAML(data []byte) {
	for file := yaml.NewDecoder(bytes.NewReader(data)); ; {
		var doc yaml.Node
		switch err := file.Decode(&doc); {
		case errors.Is(err, io.EOF):
			return
		case err != nil:
			r.faultInYAML(err)
			return
		case len(doc.Content) > 0:
			r.readDocument(doc.Content[0])
		}
	}
}

func (r *reader) faultInYAML(err error) {
	line := 0
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if n, _ := fmt.Sscanf(text, "line %d:", &line); n == 1 {
		_, text, _ = strings.Cut(text, ": ")
	}
	if strings.HasPrefix(text, "unknown anchor") { // the name follows, and may be a password
		text = "a value that begins with * needs quotes"
	}
	r.fault(line, "this is not YAML: %s", text)
}

func (r *reader) readDocument(list *yaml.Node) {
	if list.Kind == yaml.MappingNode {
		top := list
		list = nil
		for i := 0; i < len(top.Content); i += 2 {
			if key := top.Content[i]; key.Value != "users" || list != nil {
				r.fault(key.Line, "%.64q: the file may contain only one list, named users", key.Value)
				continue
			}
			list = top.Content[i+1]
		}
	}
	if list == nil || list.Tag == "!!null" {
		return
	}
	if list.Kind != yaml.SequenceNode {
		r.fault(list.Line, "a list of users belongs here")
		return
	}
	for _, user := range list.Content {
		r.Records++
		if user.Kind != yaml.MappingNode {
			r.fault(user.Line, "a user with name and fields belongs here")
			continue
		}
		r.readUser(user)
	}
}

func (r *reader) readUser(user *yaml.Node) {
	before := len(r.faults)
	line, name := user.Line, ""
	var values []value
	seen := map[string]bool{}
	for i := 0; i < len(user.Content); i += 2 {
		key, node := user.Content[i], user.Content[i+1]
		if seen[key.Value] {
			r.fault(key.Line, "%.64q appears twice: remove one", key.Value)
		}
		seen[key.Value] = true
		if node.Anchor != "" || !strings.HasPrefix(node.ShortTag(), "!!") {
			r.fault(node.Line, "%.64s: a value that begins with & or ! needs quotes", key.Value)
			continue
		}
		if tag := node.ShortTag(); node.Kind == yaml.ScalarNode && !slices.Contains(plainTags, tag) {
			r.fault(node.Line, "%.64s: %.32s is not supported: write the text itself, in quotes", key.Value, tag)
			continue
		}
		text, ok := scalar(node, key.Value == "dial-in")
		if !ok {
			r.fault(node.Line, "%.64s: one value belongs here", key.Value)
			continue
		}
		if key.Value == "name" {
			name, line = text, key.Line
			continue
		}
		f, ok := r.field(key.Line, key.Value)
		if !ok {
			continue
		}
		if node.Tag == "!!bool" && f.Name == "enabled" {
			text = map[string]string{"true": "yes", "false": "no"}[strings.ToLower(text)]
		}
		values = append(values, value{f, text})
	}
	if len(r.faults) == before {
		r.user(line, name, values)
	}
}

// plainTags are the tags of values that equal their text. A !!binary, for example, is written in
// base64.
var plainTags = []string{"!!str", "!!int", "!!float", "!!bool", "!!null", "!!timestamp"}

// scalar is the text of a value. With list the value may be a list of texts.
func scalar(node *yaml.Node, list bool) (string, bool) {
	switch {
	case node.Kind == yaml.ScalarNode && node.Tag == "!!null":
		return "", true
	case node.Kind == yaml.ScalarNode:
		return node.Value, true
	case node.Kind == yaml.SequenceNode && list:
		var words []string
		for _, word := range node.Content {
			text, ok := scalar(word, false)
			if !ok {
				return "", false
			}
			words = append(words, text)
		}
		if len(words) == 0 {
			return "none", true
		}
		return strings.Join(words, ","), true
	default:
		return "", false
	}
}

func writeYAML(w io.Writer, users []usermgmt.Profile, fields []usermgmt.Field) error {
	text := func(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s} }
	list := &yaml.Node{Kind: yaml.SequenceNode}
	for _, p := range users {
		user := &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{text("name"), text(p.Name)}}
		for _, f := range fields {
			user.Content = append(user.Content, text(f.Name), text(f.Get(&p)))
		}
		list.Content = append(list.Content, user)
	}
	if len(users) == 0 {
		list.Style = yaml.FlowStyle
	}
	doc := &yaml.Node{Kind: yaml.MappingNode, HeadComment: yamlHead, Content: []*yaml.Node{text("users"), list}}
	enc := yaml.NewEncoder(w)
	enc.SetIndent(2)
	return errors.Join(enc.Encode(doc), enc.Close())
}
