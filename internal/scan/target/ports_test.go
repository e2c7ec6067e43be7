package target

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/portreeve/portreeve/internal/exposure"
	"pgregory.net/rapid"
)

func services(name string) []PortRef {
	switch name {
	case "ssh":
		return []PortRef{{exposure.TCP, 22}}
	case "domain":
		return []PortRef{{exposure.TCP, 53}, {exposure.UDP, 53}}
	case "syslog":
		return []PortRef{{exposure.UDP, 514}}
	case "ms-wbt-server", "9pfs", "3-com":
		return []PortRef{{exposure.TCP, 3389}}
	case "diameter-s":
		return []PortRef{{exposure.SCTP, 3868}}
	}
	return nil
}

func TestParsePorts(t *testing.T) {
	for spec, want := range map[string]string{
		"22":                             "{[{22 22}] [{22 22}] false}",
		"22,80,1000-2000":                "{[{22 22} {80 80} {1000 2000}] [{22 22} {80 80} {1000 2000}] false}",
		"80, 22 ,23":                     "{[{22 23} {80 80}] [{22 23} {80 80}] false}",
		"1-10,5-20,21":                   "{[{1 21}] [{1 21}] false}",
		"all":                            "{[{1 65535}] [{1 65535}] false}",
		"-":                              "{[{1 65535}] [{1 65535}] false}",
		"-100":                           "{[{1 100}] [{1 100}] false}",
		"60000-":                         "{[{60000 65535}] [{60000 65535}] false}",
		"T:22,U:53,161":                  "{[{22 22}] [{53 53} {161 161}] true}",
		"t:22,80":                        "{[{22 22} {80 80}] [] true}",
		"22,U:53":                        "{[{22 22}] [{53 53}] true}",
		"U:-":                            "{[] [{1 65535}] true}",
		"U:all,T:1-2":                    "{[{1 2}] [{1 65535}] true}",
		"53/udp,22":                      "{[{22 22}] [{53 53}] true}",
		"8000-8010/TCP":                  "{[{8000 8010}] [] true}",
		"U:53,22/tcp,161":                "{[{22 22}] [{53 53} {161 161}] true}",
		"ssh,80":                         "{[{22 22} {80 80}] [{80 80}] false}",
		"SSH":                            "{[{22 22}] [] false}",
		"domain":                         "{[{53 53}] [{53 53}] false}",
		"U:domain":                       "{[] [{53 53}] true}",
		"domain/tcp":                     "{[{53 53}] [] true}",
		"syslog":                         "{[] [{514 514}] true}",
		"22,syslog":                      "{[{22 22}] [{514 514}] true}",
		"ms-wbt-server":                  "{[{3389 3389}] [] false}",
		"9pfs,3-com":                     "{[{3389 3389}] [] false}",
		"65535":                          "{[{65535 65535}] [{65535 65535}] false}",
		strings.Repeat("1,", 1000) + "1": "{[{1 1}] [{1 1}] false}",
	} {
		got, err := ParsePorts(spec, services)
		if err != nil || fmt.Sprint(got) != want {
			t.Errorf("%.60s: %v, %v, want %s", spec, got, err, want)
		}
	}
}

func TestParsePortsErrorsHelp(t *testing.T) {
	for spec, want := range map[string]string{
		"0":                                "port 0",
		"00":                               "port 0",
		"0-100":                            "port 0",
		"T:0":                              "port 0",
		"65536":                            "65535",
		"999999999999":                     "65535",
		"022":                              "octal",
		"30-20":                            "lower port first",
		"22,,80":                           "missing",
		"22,":                              "missing",
		"T:":                               "missing",
		"1-2-3":                            "no service",
		"22/sctp":                          "TCP and UDP",
		"S:22":                             `"S"`,
		"nope":                             "no service",
		"T:syslog":                         "no TCP port",
		"U:ssh":                            "no UDP port",
		"diameter-s":                       "neither",
		"22 80":                            "no service",
		"+22":                              "no service",
		"\u202e22":                         "no service",
		strings.Repeat("1", MaxPortSpec+1): "bytes",
	} {
		_, err := ParsePorts(spec, services)
		var e *Error
		if !errors.As(err, &e) || e.Kind != "port" || e.Spec == "" && spec != "22,,80" && spec != "22," || e.Hint == "" || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want %q", spec, err, want)
		}
	}
	for _, spec := range []string{"", "  "} {
		if _, err := ParsePorts(spec, services); !errors.Is(err, ErrNoPort) {
			t.Errorf("%q: %v", spec, err)
		}
	}
	if _, err := ParsePorts("ssh", nil); err == nil {
		t.Error("a name without a registry was accepted")
	}
}

func TestPortsAgainstANaiveTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := map[uint16]bool{}
		var items []string
		for range rapid.IntRange(1, 20).Draw(t, "items") {
			first := rapid.IntRange(1, 200).Draw(t, "first")
			last := rapid.IntRange(first, 210).Draw(t, "last")
			items = append(items, fmt.Sprintf("%d-%d", first, last))
			for p := first; p <= last; p++ {
				want[uint16(p)] = true
			}
		}
		got, err := ParsePorts(strings.Join(items, ","), nil)
		if err != nil {
			t.Fatal(err)
		}
		list := got.TCP.List()
		if len(list) != len(want) || got.TCP.Len() != len(want) || !slices.IsSorted(list) {
			t.Fatalf("%v: %v", items, got)
		}
		for i, p := range list {
			if !want[p] || i > 0 && list[i-1] == p {
				t.Fatalf("%v: %d", items, p)
			}
		}
		for i, r := range got.TCP[1:] {
			if int(r.First) <= int(got.TCP[i].Last)+1 {
				t.Fatalf("%v touches the next", got.TCP)
			}
		}
	})
}
