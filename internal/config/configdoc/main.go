// Configdoc writes docs/configuration.md from the file of defaults.
package main

import (
	"fmt"
	"log"
	"os"
	"strings"
	"vpnd/internal/atomicfile"

	"go.yaml.in/yaml/v3"
)

const head = `# Configuration

vpnd reads ` + "`/etc/vpnd/vpnd.yaml`, or the file that `--config FILE`" + ` names.
The file may be missing, and so may each key: every key has a default.
An unknown key is a fault.
` + "`vpnd check`" + ` and the daemon's start report all faults at once, with line and column.

Durations have a unit, such as 30s, 3m or 1h.

Most servers begin with these settings:

    network:
      pool: 10.99.0.10-10.99.0.250
      masquerade: eth0          # users reach the Internet under this machine's address
      dns: [192.168.1.1]
    ppp:
      authentication: [mschapv2]
      mppe: required

[Running the daemon](running.md) says which keys a reload applies and which ones need a restart.

` + "This page is generated from `internal/config/default.yaml` by `go generate ./internal/config`." + `
`

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 {
		log.Fatal("usage: configdoc DEFAULTS PAGE")
	}
	defaults, err := os.ReadFile(os.Args[1]) //nolint:gosec // go generate names the file
	if err != nil {
		log.Fatal(err)
	}
	page, err := reference(defaults)
	if err != nil {
		log.Fatal(err)
	}
	err = atomicfile.Write(os.Args[2], 0o644, func(file *os.File) error {
		_, err := file.WriteString(page)
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
}

// reference is docs/configuration.md.
func reference(defaults []byte) (string, error) {
	var file yaml.Node
	if err := yaml.Unmarshal(defaults, &file); err != nil {
		return "", err
	}
	r := &rows{}
	r.add(file.Content[0], "")
	if len(r.missing) > 0 {
		return "", fmt.Errorf("without a comment: %s", strings.Join(r.missing, ", "))
	}
	return head + "\n## At the top level\n" + tableHead + r.top.String() + r.sections.String(), nil
}

const tableHead = "\n| key | default | meaning |\n| --- | --- | --- |\n"

// rows are the page's tables: one of the keys without a section, and one for each section.
type rows struct {
	top, sections strings.Builder
	missing       []string // keys without a comment
}

// add adds the keys of a mapping. Section is the name of the mapping with a dot; "" is none.
func (r *rows) add(mapping *yaml.Node, section string) {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		key, value := mapping.Content[i], mapping.Content[i+1]
		name, text := section+key.Value, meaning(key)
		if text == "" {
			r.missing = append(r.missing, name)
		}
		isSection := value.Kind == yaml.MappingNode && len(value.Content) > 0
		switch {
		case isSection && section == "":
			fmt.Fprintf(&r.sections, "\n## %s\n\n%s\n%s", name, text, tableHead)
			r.add(value, name+".")
		case isSection:
			fmt.Fprintf(&r.sections, "| `%s` | | %s |\n", name, text)
			r.add(value, name+".")
		case section == "":
			fmt.Fprintf(&r.top, "| `%s` | %s | %s |\n", name, shown(value), text)
		default:
			fmt.Fprintf(&r.sections, "| `%s` | %s | %s |\n", name, shown(value), text)
		}
	}
}

// meaning is the comment above a key, as one line.
func meaning(key *yaml.Node) string {
	lines := strings.Split(key.HeadComment, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSpace(strings.TrimPrefix(line, "#"))
	}
	return strings.Join(lines, " ")
}

// shown is a default as it is written in the file.
func shown(value *yaml.Node) string {
	if value.Tag == "!!null" {
		return "unset"
	}
	plain := *value
	plain.HeadComment, plain.LineComment, plain.FootComment = "", "", ""
	text, err := yaml.Marshal(&plain)
	if err != nil {
		return value.Value
	}
	return "`" + strings.TrimSpace(string(text)) + "`"
}
