package config

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"vpnd/internal/fault"

	"go.yaml.in/yaml/v3"
)

// A field takes the value of one key.
type field interface {
	set(d *decoder, key string, n *yaml.Node)
}

// A section is a mapping that accepts only known keys.
type section map[string]field

// A setter takes a value, or reports its fault.
type setter func(d *decoder, key string, n *yaml.Node)

func (s setter) set(d *decoder, key string, n *yaml.Node) { s(d, key, n) }

type decoder struct {
	name   string
	nodes  map[string]*yaml.Node // nodes of the file, by key
	faults Faults
	unread Faults // faults of reading
	// prefixes are the ranges that the file has as prefixes.
	prefixes []Range
}

func decode(name string, data []byte, base Config) (Config, error) {
	d := &decoder{name: name, nodes: map[string]*yaml.Node{}}
	c := base
	root := d.parse(data)
	if root != nil {
		c.fields().set(d, "", root)
		c.Network.leaveOut(d.prefixes)
	}
	d.unread = d.faults
	if root != nil || len(d.faults) == 0 {
		c.check(d.report)
	}
	if len(d.faults) > 0 {
		slices.SortStableFunc(d.faults, func(a, b Fault) int {
			return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
		})
		return Config{}, d.faults
	}
	return c, nil
}

// parse gives the only document of the file, or nil if there is none.
func (d *decoder) parse(data []byte) *yaml.Node {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		d.faults = append(d.faults, syntaxFault(d.name, err))
		return nil
	}
	if err := dec.Decode(&second); err == nil {
		d.fault(&second, "", "a second YAML document begins here", "remove one")
	} else if !errors.Is(err, io.EOF) {
		d.faults = append(d.faults, syntaxFault(d.name, err))
	}
	if len(doc.Content) == 0 {
		return nil
	}
	return doc.Content[0]
}

// syntaxFault takes the line out of an error such as "yaml: line 3: did not find expected key".
func syntaxFault(name string, err error) Fault {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	f := Fault{File: name, Wrong: "not YAML: " + text}
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		number, what, _ := strings.Cut(rest, ": ") // the library gives the line only in the text
		if line, err := strconv.Atoi(number); err == nil {
			f.Line, f.Wrong = line, "not YAML: "+what
		}
	}
	if strings.Contains(f.Wrong, "unknown anchor") { // the name follows, which may be a secret
		f.Wrong = "not YAML: a value that begins with * needs quotes"
	}
	return f
}

func (d *decoder) fault(n *yaml.Node, key, wrong, fix string) {
	d.faults = append(d.faults, Fault{File: d.name, Line: n.Line, Column: n.Column, Key: key, Wrong: wrong, Fix: fix})
}

// report places a fault of the result at the first of keys that the file sets. It reports no
// further fault of a key that could not be read.
func (d *decoder) report(wrong, fix string, keys ...string) {
	if slices.ContainsFunc(keys, d.unreadable) {
		return
	}
	for _, key := range keys {
		if n, ok := d.nodes[key]; ok {
			d.fault(n, key, wrong, fix)
			return
		}
	}
	d.faults = append(d.faults, Fault{File: d.name, Key: keys[0], Wrong: wrong, Fix: fix})
}

// unreadable reports whether key, a part of it, or its section could not be read.
func (d *decoder) unreadable(key string) bool {
	section, _, _ := strings.Cut(key, ".")
	return slices.ContainsFunc(d.unread, func(f Fault) bool {
		return f.Key == key || f.Key == section || strings.HasPrefix(f.Key, key+".")
	})
}

func (s section) set(d *decoder, key string, n *yaml.Node) {
	n = resolve(n)
	if isNull(n) {
		return
	}
	known := strings.Join(slices.Sorted(maps.Keys(s)), ", ")
	if n.Kind != yaml.MappingNode {
		d.fault(n, key, "must be a mapping of the keys "+known, "")
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		child := name.Value
		if key != "" {
			child = key + "." + child
		}
		f, ok := s[name.Value]
		switch _, again := d.nodes[child]; {
		case !ok:
			d.fault(name, child, "unknown key", "use one of "+known)
		case again:
			d.fault(name, child, "is set twice", "remove one")
		default:
			d.nodes[child] = value
			f.set(d, child, value)
		}
	}
}

func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// plainTags are the tags of values whose text is the value. The text of a !!binary, for example, is
// base64.
var plainTags = []string{"!!str", "!!int", "!!float", "!!bool", "!!null", "!!timestamp"}

// scalar sets *to from one value with parse.
func scalar[T any](to *T, parse func(string) (T, error)) setter {
	return func(d *decoder, key string, n *yaml.Node) {
		n = resolve(n)
		if n.Kind != yaml.ScalarNode || isNull(n) {
			d.fault(n, key, "must be one value", "")
			return
		}
		if !slices.Contains(plainTags, n.ShortTag()) {
			d.fault(n, key, "a value that begins with ! needs quotes", "")
			return
		}
		v, err := parse(n.Value)
		if err != nil {
			wrong, fix := fault.Of(err, "")
			d.fault(n, key, wrong, fix)
			return
		}
		*to = v
	}
}

// list sets *to from a sequence of values, or from a single value.
func list[T any](to *[]T, parse func(string) (T, error)) setter {
	return listOf(to, func(v *T) setter { return scalar(v, parse) })
}

// orUnset is list for a key that null leaves unset.
func orUnset[T any](to *[]T, parse func(string) (T, error)) setter {
	return func(d *decoder, key string, n *yaml.Node) {
		if isNull(resolve(n)) {
			*to = nil
			return
		}
		list(to, parse)(d, key, n)
	}
}

// listOf is list for values that item sets.
func listOf[T any](to *[]T, item func(*T) setter) setter {
	return func(d *decoder, key string, n *yaml.Node) {
		n = resolve(n)
		nodes := []*yaml.Node{n}
		if n.Kind == yaml.SequenceNode {
			nodes = n.Content
		}
		values := make([]T, len(nodes))
		for i, node := range nodes {
			item(&values[i])(d, key, node)
		}
		*to = values
	}
}

// entries sets *to from a mapping of names to sections.
func entries[T any](to *map[string]T, fields func(*T) section) setter {
	return func(d *decoder, key string, n *yaml.Node) {
		n = resolve(n)
		if isNull(n) {
			return
		}
		if n.Kind != yaml.MappingNode {
			d.fault(n, key, "must be a mapping of names", "")
			return
		}
		values := map[string]T{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			name := n.Content[i]
			child := key + "." + name.Value
			if _, again := values[name.Value]; again {
				d.fault(name, child, "is set twice", "remove one")
				continue
			}
			var value T
			d.nodes[child] = n.Content[i+1]
			fields(&value).set(d, child, n.Content[i+1])
			values[name.Value] = value
		}
		*to = values
	}
}
