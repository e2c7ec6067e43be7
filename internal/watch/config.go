package watch

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/parser"
	"github.com/portreeve/portreeve/internal/audit/policy"
	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/watch/sink"
)

// MaxConfigBytes bounds a configuration file.
const MaxConfigBytes = 1 << 20

// Config is the file of `portreeve watch --config`. docs/watch.md explains
// each key. Absent keys are nil or empty.
type Config struct {
	Version   int            `yaml:"version"`
	Policy    string         `yaml:"policy"`   // a policy file, the whole path
	Baseline  string         `yaml:"baseline"` // a name of `portreeve baseline`
	Listen    string         `yaml:"listen"`   // metrics, host:port
	NetNS     string         `yaml:"netns"`
	Settle    *time.Duration `yaml:"settle"`
	Hold      *time.Duration `yaml:"hold"`
	Missing   *time.Duration `yaml:"missing"`
	Clear     *time.Duration `yaml:"clear"`
	Reconcile *time.Duration `yaml:"reconcile"`
	Notify    string         `yaml:"notify"` // the least severity that sinks get
	Flapping  FlapConfig     `yaml:"flapping"`
	Windows   []WindowConfig `yaml:"maintenance"`
	Traffic   *TrafficConfig `yaml:"traffic"`
	Schedule  ScheduleConfig `yaml:"schedule"`
	Sinks     []sink.Config  `yaml:"sinks"`
}

// FlapConfig is Flapping in the file.
type FlapConfig struct {
	Changes int           `yaml:"changes"`
	Within  time.Duration `yaml:"within"`
	First   time.Duration `yaml:"first"`
	Most    time.Duration `yaml:"most"`
}

// WindowConfig is a maintenance window in the file.
type WindowConfig struct {
	Name  string             `yaml:"name"`
	Days  []string           `yaml:"days"`
	At    string             `yaml:"at"`
	For   time.Duration      `yaml:"for"`
	Zone  string             `yaml:"zone"`
	From  string             `yaml:"from"` // RFC 3339
	To    string             `yaml:"to"`
	Ports []policy.PortRange `yaml:"ports"`
	Units []string           `yaml:"units"`
}

// TrafficConfig switches on who uses which port.
type TrafficConfig struct {
	Every time.Duration `yaml:"every"`
}

// ScheduleConfig is what is done by the clock.
type ScheduleConfig struct {
	Audit    []AuditConfig   `yaml:"audit"`
	Vantages []VantageConfig `yaml:"vantage"`
}

// AuditConfig is a scheduled audit.
type AuditConfig struct {
	Every time.Duration `yaml:"every"`
	At    string        `yaml:"at"`
	Zone  string        `yaml:"zone"`
	Deep  bool          `yaml:"deep"`
}

// VantageConfig is a scan from outside: what a command prints, or a file that
// another host writes.
type VantageConfig struct {
	Name    string        `yaml:"name"`
	Command []string      `yaml:"command"` // program and arguments; no shell
	File    string        `yaml:"file"`
	Every   time.Duration `yaml:"every"`
	At      string        `yaml:"at"`
	Zone    string        `yaml:"zone"`
	Timeout time.Duration `yaml:"timeout"` // 0: DefaultVantageTimeout
	MaxAge  time.Duration `yaml:"max-age"` // older results are not used; 0: 48h
}

// Defaults of vantages and traffic.
const (
	DefaultVantageTimeout = 30 * time.Minute
	DefaultVantageAge     = 48 * time.Hour
	DefaultTrafficPace    = 5 * time.Second
)

// ConfigError is one thing wrong in the file. Line is 1-based, 0 not known.
type ConfigError struct {
	Line int
	What string
}

func (e *ConfigError) Error() string {
	if e.Line == 0 {
		return e.What
	}
	return fmt.Sprintf("line %d: %s", e.Line, e.What)
}

func bad(format string, args ...any) error { return &ConfigError{What: fmt.Sprintf(format, args...)} }

// ParseConfig reads a file strictly: an unknown key, a wrong type or value is
// a *ConfigError.
func ParseConfig(b []byte) (c *Config, err error) {
	// The YAML library panics on some malformed input.
	defer func() {
		if r := recover(); r != nil {
			c, err = nil, bad("this is no valid YAML (%v)", r)
		}
	}()
	if len(b) > MaxConfigBytes {
		return nil, bad("a configuration may hold %d bytes, this one has %d", MaxConfigBytes, len(b))
	}
	f, err := parser.ParseBytes(b, 0)
	if err != nil {
		return nil, configError(err)
	}
	if len(f.Docs) > 1 {
		return nil, bad("a configuration is one YAML document, this file has %d", len(f.Docs))
	}
	c = new(Config)
	if err := yaml.NewDecoder(bytes.NewReader(b), yaml.Strict()).Decode(c); err != nil {
		return nil, configError(err)
	}
	if err := c.check(); err != nil {
		return nil, c.located(f, err)
	}
	return c, nil
}

// configError gives the library's and the policy's errors one shape.
func configError(err error) error {
	var own *policy.Error
	if errors.As(err, &own) {
		return &ConfigError{own.Line, own.What}
	}
	if errors.Is(err, io.EOF) {
		return bad("the file is empty (a configuration begins with `version: 1`)")
	}
	var lib yaml.Error
	if !errors.As(err, &lib) {
		return bad("%v", err)
	}
	out := &ConfigError{What: lib.GetMessage()}
	if tok := lib.GetToken(); tok != nil && tok.Position != nil {
		out.Line = tok.Position.Line
	}
	return out
}

func (c *Config) check() error {
	if c.Version != 1 {
		return keyed("version", "this program reads version 1, the file says %d (write `version: 1`)", c.Version)
	}
	if c.Notify != "" && exposure.Severity(c.Notify).Rank() < 0 {
		return keyed("notify", "%q is no severity (info, low, medium, high)", c.Notify)
	}
	if c.Policy != "" && !filepath.IsAbs(c.Policy) {
		return keyed("policy", "%q: write the whole path, from /", c.Policy)
	}
	for _, check := range []func() error{c.checkTimes, c.checkWindows, c.checkSchedule, c.checkSinks} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// Bounds of times.
const (
	longest       = 24 * time.Hour
	shortestCheck = time.Second
)

func (c *Config) checkTimes() error {
	for _, d := range []struct {
		key  string
		time *time.Duration
	}{{"settle", c.Settle}, {"hold", c.Hold}, {"missing", c.Missing}, {"clear", c.Clear}} {
		if d.time != nil && (*d.time < 0 || *d.time > longest) {
			return keyed(d.key, "%s is not within 0…%s", *d.time, longest)
		}
	}
	if c.Reconcile != nil && (*c.Reconcile < shortestCheck || *c.Reconcile > longest) {
		return keyed("reconcile", "%s is not within %s…%s", *c.Reconcile, shortestCheck, longest)
	}
	f := c.Flapping
	if f.Changes < 0 || f.Changes > 1000 || f.Within < 0 || f.First < 0 || f.Most < 0 || max(f.Within, f.First, f.Most) > 7*longest {
		return keyed("flapping", "changes is 1…1000, the times are positive and at most 168h")
	}
	if c.Traffic != nil && c.Traffic.Every != 0 && (c.Traffic.Every < shortestCheck || c.Traffic.Every > time.Minute) {
		return keyed("traffic.every", "%s is not within %s…1m", c.Traffic.Every, shortestCheck)
	}
	return nil
}

func (c *Config) checkSinks() error {
	err := sink.ValidateAll(c.Sinks)
	var bad *sink.ConfigError
	if errors.As(err, &bad) {
		return keyed(bad.Key, "%s", bad.Why)
	}
	return err
}

func (c *Config) checkWindows() error {
	for i := range c.Windows {
		if _, err := c.Windows[i].Window(); err != nil {
			return keyed("maintenance["+strconv.Itoa(i)+"]", "%v", err)
		}
	}
	return nil
}

// Window reads the entry's texts.
func (w *WindowConfig) Window() (Window, error) {
	out := Window{Name: w.Name, For: w.For, Ports: w.Ports, Units: w.Units}
	if w.Name == "" {
		return out, errors.New("`name` is missing: what is done then")
	}
	for _, g := range w.Units {
		if _, err := path.Match(g, ""); err != nil {
			return out, fmt.Errorf("units: %q is no valid pattern (*, ?, [a-z])", g)
		}
	}
	if w.From != "" || w.To != "" {
		return out, w.once(&out)
	}
	return out, w.daily(&out)
}

func (w *WindowConfig) once(out *Window) (err error) {
	if w.At != "" || w.For != 0 || len(w.Days) > 0 || w.Zone != "" {
		return errors.New("`from` and `to` are for once; `days`, `at`, `for` and `zone` for each day: not both")
	}
	for _, t := range []struct {
		key, text string
		to        *time.Time
	}{{"from", w.From, &out.From}, {"to", w.To, &out.To}} {
		if *t.to, err = time.Parse(time.RFC3339, t.text); err != nil {
			return fmt.Errorf("%s: %q is no time (write 2027-01-31T22:00:00Z)", t.key, t.text)
		}
	}
	if !out.To.After(out.From) {
		return errors.New("`to` is not after `from`")
	}
	return nil
}

func (w *WindowConfig) daily(out *Window) (err error) {
	if out.At, err = clockTime(w.At); err != nil {
		return fmt.Errorf("at: %w", err)
	}
	if w.For <= 0 || w.For > 7*longest {
		return fmt.Errorf("for: %s is not within 1s…168h", w.For)
	}
	for _, text := range w.Days {
		day, err := weekday(text)
		if err != nil {
			return fmt.Errorf("days: %w", err)
		}
		out.Days = append(out.Days, day)
	}
	out.Zone, err = zone(w.Zone)
	return err
}

func zone(name string) (*time.Location, error) {
	if name == "" {
		return time.UTC, nil
	}
	z, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("zone: %q is not known here (write Europe/Berlin, UTC or Local; the names are in /usr/share/zoneinfo)", name)
	}
	return z, nil
}

func (c *Config) checkSchedule() error {
	for i := range c.Schedule.Audit {
		a := &c.Schedule.Audit[i]
		if _, err := a.Times(); err != nil {
			return keyed(fmt.Sprintf("schedule.audit[%d]", i), "%v", err)
		}
	}
	seen := map[string]bool{}
	for i := range c.Schedule.Vantages {
		v := &c.Schedule.Vantages[i]
		err := v.check()
		if err == nil && seen[v.Name] {
			err = fmt.Errorf("name: %q is another's", v.Name)
		}
		if err != nil {
			return keyed(fmt.Sprintf("schedule.vantage[%d]", i), "%v", err)
		}
		seen[v.Name] = true
	}
	return nil
}

// leastEvery keeps a slip from scanning without end.
const leastEvery = time.Minute

func times(every time.Duration, at, zoneName string) (Times, error) {
	switch {
	case (every != 0) == (at != ""):
		return Times{}, errors.New("write `every: 24h` or `at: \"03:30\"`, one of them")
	case at == "" && (every < leastEvery || every > 366*longest):
		return Times{}, fmt.Errorf("every: %s is not within %s…a year", every, leastEvery)
	case at == "" && zoneName != "":
		return Times{}, errors.New("`zone` belongs to `at`")
	case at == "":
		return Times{Every: every}, nil
	}
	z, err := zone(zoneName)
	if err != nil {
		return Times{}, err
	}
	clock, err := clockTime(at)
	if err != nil {
		return Times{}, fmt.Errorf("at: %w", err)
	}
	return Times{Daily: true, At: clock, Zone: z}, nil
}

// Times say when the audit runs.
func (a *AuditConfig) Times() (Times, error) { return times(a.Every, a.At, a.Zone) }

// Times say when the vantage is asked.
func (v *VantageConfig) Times() (Times, error) { return times(v.Every, v.At, v.Zone) }

func (v *VantageConfig) check() error {
	switch {
	case v.Name == "":
		return errors.New("`name` is missing")
	case (len(v.Command) > 0) == (v.File != ""):
		return errors.New("write `command: [program, argument…]` or `file: /path`, one of them")
	case v.File != "" && !filepath.IsAbs(v.File):
		return fmt.Errorf("file: %q: write the whole path, from /", v.File)
	case len(v.Command) > 0 && !filepath.IsAbs(v.Command[0]):
		return fmt.Errorf("command: %q: write the program's whole path, from / (there is no shell and no search)", v.Command[0])
	case v.Timeout < 0 || v.Timeout > longest || v.MaxAge < 0:
		return errors.New("timeout is within 0…24h, max-age positive")
	}
	_, err := v.Times()
	return err
}

// keyError is a wrong value at a key, before its line is known.
type keyError struct{ key, why string }

func (e *keyError) Error() string { return e.key + ": " + e.why }

func keyed(key, format string, args ...any) error {
	return &keyError{key, fmt.Sprintf(format, args...)}
}

// yamlPath is where a key stands, with the last key left off until it is there.
func yamlPath(key string) []string {
	paths := []string{"$." + key}
	for i := len(key) - 1; i > 0; i-- {
		if key[i] == '.' || key[i] == '[' {
			paths = append(paths, "$."+key[:i])
		}
	}
	return paths
}

// EngineOptions are the configured values over the defaults.
func (c *Config) EngineOptions(host string) Options {
	o := Options{Host: host, Settle: or(c.Settle, DefaultSettle), Hold: or(c.Hold, DefaultHold), Missing: or(c.Missing, DefaultMissing),
		Clear: or(c.Clear, DefaultClear), Notify: exposure.Severity(strings.ToLower(c.Notify)),
		Flap: Flapping{c.Flapping.Changes, c.Flapping.Within, c.Flapping.First, c.Flapping.Most}}
	var windows []Window
	for i := range c.Windows {
		if w, err := c.Windows[i].Window(); err == nil {
			windows = append(windows, w)
		}
	}
	if len(windows) > 0 {
		o.Maintenance = func(at time.Time, s *exposure.Socket) string { return Maintained(windows, at, s) }
	}
	return o
}

func or(d *time.Duration, def time.Duration) time.Duration {
	if d == nil {
		return def
	}
	return *d
}
