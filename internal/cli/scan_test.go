package cli

import (
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/scan"
)

// Commas separate whole targets, and list octets within one.
func TestSplitExcludes(t *testing.T) {
	for in, want := range map[string][]string{
		"10.0.0.5":                    {"10.0.0.5"},
		"10.0.0.5,10.0.0.6":           {"10.0.0.5", "10.0.0.6"},
		"10.0.0.5, db-01,fd00::1":     {"10.0.0.5", "db-01", "fd00::1"},
		"10.0.0.1,2,9":                {"10.0.0.1,2,9"},
		"10.0.0,1.5":                  {"10.0.0,1.5"},
		"10.0.0.0/24,192.168.0.0/16":  {"10.0.0.0/24", "192.168.0.0/16"},
		"10.0.0.1-10.0.0.9,10.0.1.0-": {"10.0.0.1-10.0.0.9", "10.0.1.0-"},
	} {
		if got := splitExcludes([]string{in}); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// What nmap's users type means the same here.
func TestNmapSpelling(t *testing.T) {
	got := nmapSpelling([]string{"scan", "-Pn", "-iL", "f", "-iLg", "-p-", "--", "-Pn"})
	want := []string{"scan", "--no-discovery", "--targets", "f", "--targets=g", "-p-", "--", "-Pn"}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if other := nmapSpelling([]string{"host", "-Pn"}); other[1] != "-Pn" {
		t.Errorf("%q", other)
	}
}

// Mistakes are told before anything is sent, with what to type instead.
func TestScanUsage(t *testing.T) {
	for args, want := range map[string]string{
		"":                                  "no target",
		"10.0.0.1 --rate fast":              "--rate",
		"10.0.0.1 --rate -5":                "--rate",
		"10.0.0.1 --shard 5/3":              "--shard",
		"10.0.0.1 --method tcp":             "auto, syn or connect",
		"10.0.0.1 -p http-nonsense":         "port",
		"10.0.0.1 --from-addr nowhere":      "--from-addr",
		"10.0.0.1 --from x.xml":             "--from",
		"--from /nonexistent.xml":           "nonexistent",
		"0.0.0.0":                           "0.0.0.0",
		"10.0.0.1 --policy /nowhere":        "policy",
		"fd00::/64":                         "fd00::/64",
		"10.0.0.0/24 --exclude 10.0.0.0/16": "exclude",
	} {
		var errs strings.Builder
		code := Main(append([]string{"scan"}, strings.Fields(args)...), strings.NewReader(""), io.Discard, &errs)
		if code != exitUsage || !strings.Contains(errs.String(), want) {
			t.Errorf("scan %s: exit %d, %s", args, code, errs.String())
		}
	}
}

// The progress line says what, how far, how fast, how much is lost and how
// long still.
func TestScanProgressLine(t *testing.T) {
	p := &scanProgress{from: 0}
	got := p.line(scan.Progress{Stage: scan.StageTCP, Done: 2000, Total: 10000, Loss: 0.0123}, 2*time.Second)
	if got != "asking TCP ports:  20 %, 1000/s, 8s left, 1.2 % lost" {
		t.Errorf("%q", got)
	}
	if got := p.line(scan.Progress{Stage: scan.StageOS}, 0); got != scan.StageOS {
		t.Errorf("%q", got)
	}
}
