package unit

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"text/template"
)

// Name is the unit's.
const Name = "portreeve-watch.service"

// Mark is the first line of every unit that was written here. What does not
// begin with it belongs to somebody else.
const Mark = "# Written by portreeve install-service. It may be overwritten: changes go into a drop-in."

//go:embed portreeve-watch.service.txt
var text string

// Options say what the service is to do.
type Options struct {
	// Program is the whole path of portreeve; Args come after `watch`.
	Program string
	Args    []string
	Needs
	// MemoryMax in MiB; 0: 512.
	MemoryMax int
}

// Needs are what goes beyond following the listeners of this namespace.
type Needs struct {
	Namespaces bool // list inside other network namespaces
	Audits     bool // scheduled audits and scans, and traffic
	Mail       bool // a program sends mail
}

// Capability is one that the service keeps, and why.
type Capability struct{ Name, Why string }

// Capabilities lists them.
func (n Needs) Capabilities() []Capability {
	out := []Capability{
		{"CAP_BPF", "loads the programs that tell of listeners as they open and close"},
		{"CAP_PERFMON", "attaches them to the kernel's trace points"},
		{"CAP_SYS_PTRACE", "reads /proc of other users' processes: who has a socket"},
		{"CAP_DAC_READ_SEARCH", "looks into folders that only their users may enter: which file runs there"},
		{"CAP_NET_ADMIN", "hears the kernel's messages of closed sockets, reads sockets' filters and marks"},
	}
	if n.Audits {
		out = append(out, Capability{"CAP_NET_RAW", "audits by the clock ask every port of this machine, with raw sockets"})
	}
	if n.Namespaces {
		out = append(out, Capability{"CAP_SYS_ADMIN", "enters other network namespaces to list their sockets (--namespaces asked for it)"})
	}
	if n.Mail {
		out = append(out,
			Capability{"CAP_SETUID", "sendmail becomes the mail system's user"},
			Capability{"CAP_SETGID", "sendmail becomes the mail system's group"},
			Capability{"CAP_DAC_OVERRIDE", "sendmail writes the mail system's queue"},
			Capability{"CAP_CHOWN", "sendmail gives the mail to the mail system"},
			Capability{"CAP_FOWNER", "sendmail sets the modes of the mail's file"})
	}
	return out
}

// Render writes the unit.
func Render(o Options) (string, error) {
	if o.MemoryMax == 0 {
		o.MemoryMax = 512
	}
	command, err := commandLine(append([]string{o.Program, "watch"}, o.Args...))
	if err != nil {
		return "", err
	}
	t, err := template.New(Name).Parse(text)
	if err != nil {
		return "", fmt.Errorf("read the template of the unit: %w", err)
	}
	var caps []string
	for _, c := range o.Capabilities() {
		caps = append(caps, c.Name)
	}
	var b strings.Builder
	err = t.Execute(&b, struct {
		Needs
		Mark, Name, Command, CapabilityList string
		MemoryHigh, MemoryMax               string
	}{o.Needs, Mark, Name, command, strings.Join(caps, " "), fmt.Sprintf("%dM", o.MemoryMax*3/4), fmt.Sprintf("%dM", o.MemoryMax)})
	if err != nil {
		return "", fmt.Errorf("write the unit: %w", err)
	}
	return b.String(), nil
}

// commandLine quotes words as systemd.service(5) reads them: in double quotes,
// with \ " $ and % escaped.
func commandLine(words []string) (string, error) {
	out := make([]string, len(words))
	for i, w := range words {
		if strings.ContainsFunc(w, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return "", fmt.Errorf("write the unit: %q has control characters", w)
		}
		out[i] = quoteWord(w)
	}
	// The program itself takes no variables: $$ would stay two signs there.
	if strings.ContainsAny(words[0], `$"\`) {
		return "", fmt.Errorf("write the unit: %q: systemd takes no such path", words[0])
	}
	return strings.Join(out, " "), nil
}

func quoteWord(w string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-:=,+@", r)
	}
	w = strings.ReplaceAll(w, "%", "%%")
	if w != "" && !strings.ContainsFunc(w, func(r rune) bool { return !plain(r) && r != '%' }) {
		return w
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", "$$").Replace(w) + `"`
}

// IsOurs reports a unit that was written here.
func IsOurs(content string) bool {
	lines := slices.Collect(strings.Lines(content))
	return len(lines) > 0 && strings.HasPrefix(lines[0], "# Written by portreeve install-service")
}
