package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Settings are values, in YAML, of keys that can be set while the daemon serves, such as
// "ppp.mppe".
type Settings map[string]string

// settable are the values of those keys.
func (c Config) settable() map[string]any {
	p, n, t := c.PPP, c.Network, c.Time
	pools := map[string]any{}
	for name, pool := range n.Pools {
		pools[name] = map[string]any{"pool": texts(pool.Addresses), "dns": textsOrUnset(pool.DNS), "wins": texts(pool.WINS)}
	}
	return map[string]any{
		"services.pptp":      c.Services.PPTP,
		"services.l2tp":      c.Services.L2TP,
		"ppp.authentication": p.Authentication,
		"ppp.mppe":           p.MPPE,
		"ppp.mppe_stateful":  p.MPPEStateful,
		"ppp.echo_interval":  p.EchoInterval.String(),
		"ppp.echo_failures":  p.EchoFailures,
		"ppp.chap_interval":  p.CHAPInterval.String(),
		"ppp.mutual_pap":     map[string]string{"user": p.MutualPAP.User, "password": p.MutualPAP.Password},
		"network.pool":       texts(n.Pool),
		"network.dns":        textsOrUnset(n.DNS),
		"network.wins":       texts(n.WINS),
		"network.pools":      pools,
		"time.servers":       append([]string{}, t.Servers...),
		"time.interval":      t.Interval.String(),
		"time.max_offset":    t.MaxOffset.String(),
	}
}

// textsOrUnset is texts for a key that may be unset.
func textsOrUnset[T fmt.Stringer](values []T) any {
	if values == nil {
		return nil
	}
	return texts(values)
}

// texts writes values as the configuration does.
func texts[T fmt.Stringer](values []T) []string {
	list := make([]string, len(values))
	for i, v := range values {
		list[i] = v.String()
	}
	return list
}

// Settings are the values in which c differs from base, of the keys that can be set while the
// daemon serves.
func (c Config) Settings(base Config) Settings {
	before := SettingsOf(base.settable())
	s := SettingsOf(c.settable())
	maps.DeleteFunc(s, func(key, text string) bool { return text == before[key] })
	return s
}

// SettingsOf writes values in YAML.
func SettingsOf(values map[string]any) Settings {
	s := Settings{}
	for key, value := range values {
		s[key] = inYAML(value)
	}
	return s
}

// inYAML is a value in one line.
func inYAML(value any) string {
	n := new(yaml.Node)
	err := n.Encode(value)
	n.Style = yaml.FlowStyle
	text, marshalErr := yaml.Marshal(n)
	if err != nil || marshalErr != nil {
		panic("config: a value that YAML cannot hold") // settable has no such value
	}
	return strings.TrimSuffix(string(text), "\n")
}

// With lays settings over c, and checks the result like that of a file. The error is Faults.
func (c Config) With(s Settings) (Config, error) {
	d := &decoder{nodes: map[string]*yaml.Node{}}
	root := &yaml.Node{Kind: yaml.MappingNode}
	sections := map[string]*yaml.Node{}
	for _, key := range s.Keys() {
		name, inner, _ := strings.Cut(key, ".")
		if sections[name] == nil {
			sections[name] = &yaml.Node{Kind: yaml.MappingNode}
			root.Content = append(root.Content, scalarNode(name), sections[name])
		}
		if value := d.parse([]byte(s[key])); value != nil {
			sections[name].Content = append(sections[name].Content, scalarNode(inner), value)
		}
	}
	c.fields().set(d, "", root)
	c.Network.leaveOut(d.prefixes)
	d.unread = d.faults
	c.check(d.report)
	if len(d.faults) > 0 {
		for i := range d.faults {
			d.faults[i].Line, d.faults[i].Column = 0, 0 // of a text that nobody has seen
		}
		return Config{}, d.faults
	}
	return c, nil
}

// Over lays stored settings over the configuration of a file. An error names them.
func (s Settings) Over(file Config) (Config, error) {
	c, err := file.With(s)
	if err != nil {
		return c, fmt.Errorf("runtime settings (%s) conflict with the configuration file: %w", s, err)
	}
	return c, nil
}

func scalarNode(text string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
}

// String writes keys and values, without those that hold a password.
func (s Settings) String() string {
	parts := s.Keys()
	for i, key := range parts {
		if key != "ppp.mutual_pap" {
			parts[i] += ": " + s[key]
		}
	}
	return strings.Join(parts, "; ")
}

// Keys are the keys in order.
func (s Settings) Keys() []string { return slices.Sorted(maps.Keys(s)) }
