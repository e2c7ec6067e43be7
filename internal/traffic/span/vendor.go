package span

import (
	"embed"
	"fmt"
	"path"
	"strings"
	"text/template"

	"github.com/goccy/go-yaml"
)

//go:embed vendors/*.yaml
var vendorFiles embed.FS

// vendor is one of the files.
type vendor struct {
	name string

	Title string `yaml:"title"`
	Docs  string `yaml:"docs"`
	// Port is a regular expression for a whole port name, Example a source
	// and a destination.
	Port    string    `yaml:"port"`
	Example [2]string `yaml:"example"`
	// Session is nil where there are no numbers; First is the default where
	// that is not Min.
	Session *struct {
		Min   int `yaml:"min"`
		Max   int `yaml:"max"`
		First int `yaml:"first"`
	} `yaml:"session"`
	// Directions are the vendor's words for those it has.
	Directions map[Direction]string `yaml:"directions"`
	// MaxSources is how many sources there may be; 0 is any number.
	MaxSources int `yaml:"sources"`
	// VLANs are uses of VLANs: "filter" beside ports, "source" in their place.
	VLANs []string `yaml:"vlans"`
	// Templates over values, one command a line.
	Setup string   `yaml:"setup"`
	Check string   `yaml:"check"`
	Undo  string   `yaml:"undo"`
	Notes []string `yaml:"notes"`
}

// names are the vendors, sorted.
func names() []string {
	files, err := vendorFiles.ReadDir("vendors")
	if err != nil {
		return nil // the folder is part of the program
	}
	var all []string
	for _, f := range files {
		all = append(all, strings.TrimSuffix(f.Name(), ".yaml"))
	}
	return all
}

func load(name string) (*vendor, error) {
	text, err := vendorFiles.ReadFile(path.Join("vendors", name+".yaml"))
	if err != nil {
		return nil, err
	}
	v := &vendor{name: name}
	if err := yaml.UnmarshalWithOptions(text, v, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("vendor file %s: %w", name, err)
	}
	return v, nil
}

func (v *vendor) render(data values) (Plan, error) {
	var p Plan
	for _, part := range []struct {
		out  *[]string
		text string
	}{{&p.Setup, v.Setup}, {&p.Check, v.Check}, {&p.Undo, v.Undo}, {&p.Notes, strings.Join(v.Notes, "\n")}} {
		lines, err := v.lines(part.text, data)
		if err != nil {
			return Plan{}, err
		}
		*part.out = lines
	}
	return p, nil
}

// lines executes a template; empty lines are what conditions leave behind.
func (v *vendor) lines(text string, data values) ([]string, error) {
	t, err := template.New(v.name).Funcs(words()).Option("missingkey=error").Parse(text)
	if err != nil {
		return nil, fmt.Errorf("vendor file %s: %w", v.name, err)
	}
	var out strings.Builder
	if err := t.Execute(&out, data); err != nil {
		return nil, fmt.Errorf("vendor file %s: %w", v.name, err)
	}
	var lines []string
	for line := range strings.Lines(out.String()) {
		if line = strings.TrimRight(line, " \n"); line != "" {
			lines = append(lines, line)
		}
	}
	return lines, nil
}

// words are the templates' functions.
func words() template.FuncMap {
	return template.FuncMap{
		"join": func(numbers []int, between string) string {
			return strings.ReplaceAll(strings.Trim(fmt.Sprint(numbers), "[]"), " ", between)
		},
		// unit is a Junos interface with its logical unit.
		"unit": func(port string) string {
			if strings.Contains(port, ".") {
				return port
			}
			return port + ".0"
		},
		// pref is the preference of a tc filter, out of the way of others'.
		"pref": func(session int) int { return 48000 + session },
	}
}
