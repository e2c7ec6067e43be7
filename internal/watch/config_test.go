package watch

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// The example of the documentation is a configuration that is taken.
func TestExampleOfTheDocs(t *testing.T) {
	b, err := os.ReadFile("../../docs/watch.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "```yaml\n")
	text, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("docs/watch.md has no example")
	}
	c, err := ParseConfig([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Sinks) != 3 || len(c.Windows) != 2 || len(c.Schedule.Audit) != 2 || len(c.Schedule.Vantages) != 2 || c.Traffic == nil {
		t.Errorf("%+v", c)
	}
	o := c.EngineOptions("h")
	if o.Settle != DefaultSettle || o.Hold != DefaultHold || o.Missing != DefaultMissing || o.Clear != DefaultClear ||
		o.Notify != exposure.Medium || o.Flap != DefaultFlapping {
		t.Errorf("the example does not show the defaults: %+v", o)
	}
}

// What is wrong is refused with its line.
func TestConfigErrors(t *testing.T) {
	for _, c := range []struct {
		text, want string
		line       int
	}{
		{"", "empty", 0},
		{"version: 2\n", "version 1", 1},
		{"version: 1\nhold: 3s\nsetle: 1s\n", "setle", 3},
		{"version: 1\n\nhold: 1\n", "", 3},
		{"version: 1\nhold: -1s\n", "hold", 2},
		{"version: 1\nreconcile: 1ms\n", "reconcile", 2},
		{"version: 1\nnotify: loud\n", "loud", 2},
		{"version: 1\npolicy: ports.yaml\n", "whole path", 2},
		{"version: 1\nmaintenance:\n  - name: a\n    at: \"25:00\"\n    for: 1h\n", "time of day", 3},
		{"version: 1\nmaintenance:\n  - {name: a, at: \"02:00\"}\n", "for", 3},
		{"version: 1\nmaintenance:\n  - {name: a, at: \"02:00\", for: 1h, days: [someday]}\n", "someday", 3},
		{"version: 1\nmaintenance:\n  - {name: a, at: \"02:00\", for: 1h, zone: Nowhere/Here}\n", "Nowhere", 3},
		{"version: 1\nmaintenance:\n  - {name: a, from: 2027-01-02T00:00:00Z, to: 2027-01-01T00:00:00Z}\n", "not after", 3},
		{"version: 1\nmaintenance:\n  - {name: a, at: \"02:00\", for: 1h, ports: [70000]}\n", "70000", 3},
		{"version: 1\nschedule:\n  audit:\n    - {}\n", "one of them", 4},
		{"version: 1\nschedule:\n  audit:\n    - {every: 1s}\n", "every", 4},
		{"version: 1\nschedule:\n  vantage:\n    - {name: a, every: 1h, command: [ssh, host]}\n", "whole path", 4},
		{"version: 1\nschedule:\n  vantage:\n    - {name: a, every: 1h}\n", "one of them", 4},
		{"version: 1\nsinks:\n  - kind: pigeon\n", "pigeon", 3},
		{"version: 1\nsinks:\n  - kind: jsonl\n    path: /a\n    url: http://x\n", "url", 5},
		{"version: 1\n---\nversion: 1\n", "one YAML document", 0},
		{"- a\n", "", 1},
	} {
		_, err := ParseConfig([]byte(c.text))
		var bad *ConfigError
		if !errors.As(err, &bad) {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		if bad.Line != c.line || !strings.Contains(bad.What, c.want) {
			t.Errorf("%q: %v, want line %d and %q", c.text, err, c.line, c.want)
		}
	}
}

func FuzzConfig(f *testing.F) {
	for _, text := range []string{"version: 1\n", "version: 1\nsinks:\n  - kind: stderr\n", "version: 1\nmaintenance:\n  - {name: a, at: \"02:00\", for: 1h}\n",
		"version: 1\nschedule:\n  audit:\n    - {every: 24h}\n", "!!map", "a: &a [*a]\n", "version: 1\ntraffic: !"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParseConfig(b)
		if err != nil {
			var bad *ConfigError
			if !errors.As(err, &bad) {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		o := c.EngineOptions("h")
		if o.Maintenance != nil {
			o.Maintenance(begin, nil)
		}
		for i := range c.Schedule.Audit {
			w, err := c.Schedule.Audit[i].Times()
			if err != nil || !w.Next(begin).After(begin) {
				t.Fatalf("%+v: %v", w, err)
			}
		}
	})
}

func TestWindows(t *testing.T) {
	at := func(text string) time.Time {
		v, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	night := Window{Name: "n", At: 23 * time.Hour, For: 2 * time.Hour, Days: []time.Weekday{time.Friday}}
	once := Window{Name: "o", From: at("2027-03-01T20:00:00Z"), To: at("2027-03-02T04:00:00Z")}
	for _, c := range []struct {
		w    Window
		at   string
		want bool
	}{
		{night, "2027-01-01T22:59:59Z", false}, // a Friday
		{night, "2027-01-01T23:00:00Z", true},
		{night, "2027-01-02T00:59:59Z", true}, // Friday's, after midnight
		{night, "2027-01-02T01:00:00Z", false},
		{night, "2027-01-02T23:30:00Z", false},
		{once, "2027-03-01T19:59:59Z", false},
		{once, "2027-03-01T20:00:00Z", true},
		{once, "2027-03-02T04:00:00Z", false},
	} {
		if got := c.w.Open(at(c.at)); got != c.want {
			t.Errorf("%s at %s: %v", c.w.Name, c.at, got)
		}
	}
	s := listener("web", 1, "0.0.0.0", 80)
	s.Unit = "web-1.service"
	for _, c := range []struct {
		w    Window
		want bool
	}{{Window{}, true}, {Window{Units: []string{"web*"}}, true}, {Window{Units: []string{"db*"}}, false}} {
		if got := c.w.Covers(&s); got != c.want {
			t.Errorf("%+v: %v", c.w, got)
		}
	}
	if units := (&Window{Units: []string{"*"}}); units.Covers(nil) {
		t.Error("a window for units covers the whole host")
	}
}

func TestTimes(t *testing.T) {
	daily := Times{Daily: true, At: 3*time.Hour + 30*time.Minute}
	for from, want := range map[string]string{
		"2027-01-01T03:29:59Z": "2027-01-01T03:30:00Z", "2027-01-01T03:30:00Z": "2027-01-02T03:30:00Z", "2027-12-31T12:00:00Z": "2028-01-01T03:30:00Z",
	} {
		at, _ := time.Parse(time.RFC3339, from)
		if got := daily.Next(at).Format(time.RFC3339); got != want {
			t.Errorf("after %s: %s, want %s", from, got, want)
		}
	}
	if got := (Times{Every: time.Hour}).Next(begin); !got.Equal(begin.Add(time.Hour)) {
		t.Errorf("each hour: %s", got)
	}
	if !(Times{}).Next(begin).IsZero() {
		t.Error("never is a time")
	}
}
