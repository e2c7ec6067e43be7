package span

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write the golden files")

// requests are what the golden files show of a vendor.
func requests(t testing.TB, name string) (all []Request) {
	t.Helper()
	v, err := load(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []Direction{Both, Rx, Tx} {
		if _, ok := v.Directions[d]; ok {
			all = append(all, Request{Vendor: name, Sources: v.Example[:1], Destination: v.Example[1], Direction: d})
		}
	}
	first := all[0]
	if v.MaxSources != 1 {
		first.Sources = []string{v.Example[0], other(v)}
		all = append(all, first)
	}
	if v.Session != nil && v.Session.Max > v.Session.Min {
		first.Session = v.Session.Max
		all = append(all, first)
	}
	if slices.Contains(v.VLANs, "filter") {
		first.VLANs = []int{10, 20}
		all = append(all, first)
	}
	if slices.Contains(v.VLANs, "source") {
		first.Sources, first.VLANs = nil, []int{10, 20}
		all = append(all, first)
	}
	return all
}

// other is a second source: the example with another number.
func other(v *vendor) string {
	number := regexp.MustCompile(`[0-9]+(\.0)?$`)
	if strings.HasPrefix(v.Example[0], "eni-") {
		return "eni-00000000000000001"
	}
	if !number.MatchString(v.Example[0]) {
		return v.Example[0] + "2"
	}
	return number.ReplaceAllString(v.Example[0], "5$1")
}

func text(r Request, p Plan) string {
	var b strings.Builder
	fmt.Fprintf(&b, "== sources %v, destination %s, session %d, direction %s, VLANs %v\n", r.Sources, r.Destination, r.Session, r.Direction, r.VLANs)
	for _, part := range []struct {
		title string
		lines []string
	}{{"set up", p.Setup}, {"check", p.Check}, {"undo", p.Undo}, {"notes", p.Notes}} {
		if len(part.lines) > 0 {
			fmt.Fprintf(&b, "-- %s\n%s\n", part.title, strings.Join(part.lines, "\n"))
		}
	}
	return b.String()
}

func TestGolden(t *testing.T) {
	for _, v := range Vendors() {
		var b strings.Builder
		fmt.Fprintf(&b, "%s\n%s\n", v.Title, v.Docs)
		for i, r := range requests(t, v.Name) {
			p, err := Render(r)
			if err != nil {
				t.Fatalf("%+v: %v", r, err)
			}
			if i > 0 {
				p.Notes = nil // nearly the same each time
			}
			b.WriteString(text(r, p))
		}
		path := filepath.Join("testdata", v.Name+".golden")
		if *update {
			if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), b.String()); d != "" {
			t.Errorf("%s (-want +got):\n%s", v.Name, d)
		}
	}
}

// Each file can be read, says all that it must, and its examples are taken.
func TestVendorFiles(t *testing.T) {
	if n := len(Vendors()); n != len(names()) || n < 20 {
		t.Fatalf("%d vendors of %d files", n, len(names()))
	}
	for _, name := range names() {
		v, err := load(name)
		if err != nil {
			t.Error(err)
			continue
		}
		if v.Title == "" || v.Docs == "" || len(v.Notes) < 2 || len(v.Directions) == 0 || v.Example[0] == v.Example[1] {
			t.Errorf("%s: something is missing", name)
		}
		if s := v.Session; s != nil && (s.Max < s.Min || s.First != 0 && (s.First < s.Min || s.First > s.Max)) {
			t.Errorf("%s: session numbers %+v", name, *s)
		}
	}
}

// What is set up names all that was asked for, and what undoes it names the
// session, or the ports where there is none; nothing is left of a template.
func TestPlansAreWhole(t *testing.T) {
	for _, name := range names() {
		v, err := load(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range requests(t, name) {
			p, err := Render(r)
			if err != nil {
				t.Fatal(err)
			}
			setup, undo := strings.Join(p.Setup, "\n"), strings.Join(p.Undo, "\n")
			for _, want := range append(slices.Clone(r.Sources), r.Destination) {
				if !strings.Contains(setup, want) {
					t.Errorf("%s: %q is not in\n%s", name, want, setup)
				}
			}
			for _, vlan := range r.VLANs {
				if !strings.Contains(setup, fmt.Sprint(vlan)) {
					t.Errorf("%s: VLAN %d is not in\n%s", name, vlan, setup)
				}
			}
			mark := r.Destination
			if v.Session != nil {
				mark = session(v, r)
				if strings.Contains(setup, "clsact") {
					mark = fmt.Sprint(48000 + max(r.Session, 1))
				}
			}
			if name == "mikrotik" {
				mark = "none"
			}
			if !strings.Contains(setup, mark) && name != "mikrotik" || !strings.Contains(undo, mark) {
				t.Errorf("%s: %q is not in\n%s\nor not in\n%s", name, mark, setup, undo)
			}
			if len(p.Check) == 0 || strings.Contains(setup+undo+strings.Join(append(p.Check, p.Notes...), ""), "{{") || strings.Contains(setup+undo, "<no value>") {
				t.Errorf("%s: %+v", name, p)
			}
		}
	}
}

// session is how a vendor's commands name one.
func session(v *vendor, r Request) string {
	n := r.Session
	if n == 0 {
		n = max(v.Session.Min, v.Session.First)
	}
	if strings.Contains(v.Setup, ".Name") {
		return fmt.Sprintf("portreeve%d", n)
	}
	return fmt.Sprint(n)
}

func TestRefused(t *testing.T) {
	ok := Request{Vendor: "cisco-ios", Sources: []string{"Gi0/1"}, Destination: "Gi0/2"}
	for field, c := range map[string]struct {
		change func(*Request)
		says   string
	}{
		"vendor":      {func(r *Request) { r.Vendor = "acme\n" }, "nx-os"},
		"vendor ":     {func(r *Request) { r.Vendor = "../vendors/arista" }, "known are"},
		"destination": {func(r *Request) { r.Destination = "" }, "missing"},
		"source":      {func(r *Request) { r.Sources = nil }, "missing"},
		"source ":     {func(r *Request) { r.Sources = []string{"Gi0/1\nreload"} }, `'\n'`},
		"source  ":    {func(r *Request) { r.Sources = []string{"Gi0/2"} }, "destination too"},
		"source   ":   {func(r *Request) { r.Sources = []string{"Gi0/1", "Gi0/1"} }, "twice"},
		"source    ":  {func(r *Request) { r.Sources = []string{"reload"} }, "GigabitEthernet0/1"},
		"source     ": {func(r *Request) {
			r.Vendor = "mikrotik"
			r.Sources = []string{"ether1", "ether2"}
			r.Destination = "ether3"
		}, "takes 1"},
		"session":    {func(r *Request) { r.Session = 67 }, "1 to 66"},
		"session ":   {func(r *Request) { r.Session = -1 }, "1 to 66"},
		"session  ":  {func(r *Request) { r.Vendor, r.Session = "cisco-ios-old", 1 }, "no session numbers"},
		"direction":  {func(r *Request) { r.Direction = "up" }, "rx, tx"},
		"direction ": {func(r *Request) { r.Vendor, r.Direction = "cisco-ios-old", Rx }, "both only"},
		"vlan":       {func(r *Request) { r.VLANs = []int{4095} }, "4094"},
		"vlan ":      {func(r *Request) { r.VLANs = []int{5, 5} }, "twice"},
		"vlan  ": {func(r *Request) {
			r.Vendor, r.VLANs = "cisco-ios-old", []int{5}
			r.Sources = []string{"Fa0/1"}
			r.Destination = "Fa0/2"
		}, "no VLANs"},
	} {
		r := ok
		c.change(&r)
		_, err := Render(r)
		var e *RequestError
		if !errors.As(err, &e) || e.Field != strings.TrimSpace(field) || !strings.Contains(e.Problem, c.says) {
			t.Errorf("%s: %v", field, err)
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: a line break in %v", field, err)
		}
	}
}

// Whatever is asked for, a name that gets through is the name as a whole, has
// nothing but a name's characters, and adds no line.
func TestNothingGetsIn(t *testing.T) {
	parts := []string{"1", "0/1", "Gi", "eth0", "ge-0/0/1", "eni-0123456789abcdef0", "web", " ", ";", "\n", "\r", "$(id)", "`id`", "'", `"`, "|", "&", ">", "\\", "-", "--", "\x00", "\u2028", "é", "{{.}}", "#"}
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom(names()).Draw(t, "vendor")
		port := strings.Join(rapid.SliceOfN(rapid.SampledFrom(parts), 1, 4).Draw(t, "port"), "")
		v, err := load(name)
		if err != nil {
			t.Fatal(err)
		}
		r := Request{Vendor: name, Sources: []string{port}, Destination: v.Example[1], Direction: requestDirection(v)}
		p, err := Render(r)
		if err != nil {
			return
		}
		if strings.ContainsAny(port, ";\n\r$`'\"|&>\\\x00\u2028é{#") || strings.HasPrefix(port, "-") {
			t.Fatalf("%s takes %q", name, port)
		}
		r.Sources = v.Example[:1]
		want, err := Render(r)
		if err != nil || len(p.Setup) != len(want.Setup) || len(p.Undo) != len(want.Undo) {
			t.Fatalf("%s: %q changes the number of lines: %v", name, port, p)
		}
		// Spaces only where the vendor's names have them or are quoted.
		if strings.Contains(port, " ") && slices.Contains([]string{"linux", "openvswitch", "aws", "cumulus", "fortiswitch"}, name) {
			t.Fatalf("%s takes %q", name, port)
		}
	})
}

func requestDirection(v *vendor) Direction {
	if _, ok := v.Directions[Both]; ok {
		return Both
	}
	return Rx
}
