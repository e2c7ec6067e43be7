package logview

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/firewall/fwlog"
)

const crowdsec = "../../../../shared/fixtures/firewall-logs/crowdsec-hub/.tests"

var (
	askedFor = regexp.MustCompile(`Sources\["([^"]+)"\]`)
	scenario = regexp.MustCompile(`GetScenario\(\) == "[^"]*scan-multi_ports"`)
)

// CrowdSec's answers: who scanned several ports, in each of its logs of
// firewalls. A test that has no such answer says that nobody did.
func TestCrowdSecScans(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(crowdsec, "*", "scenario.assert"))
	if err != nil || len(files) == 0 {
		t.Fatal("no fixtures", err)
	}
	events, scans := 0, 0
	for _, file := range files {
		assert, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]bool{}
		if scenario.Match(assert) {
			for _, m := range askedFor.FindAllSubmatch(assert, -1) {
				want[string(m[1])] = true
			}
		}
		got, n := scannersOf(t, filepath.Dir(file))
		events += n
		scans += len(want)
		if !maps.Equal(want, got) {
			t.Errorf("%s: CrowdSec says %v, the view %v", filepath.Dir(file), slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got)))
		}
	}
	if events < 80 || scans < 4 {
		t.Errorf("%d events, %d scans", events, scans)
	}
}

func scannersOf(t *testing.T, folder string) (scanners map[string]bool, events int) {
	logs, err := filepath.Glob(filepath.Join(folder, "*.log"))
	if err != nil {
		t.Fatal(err)
	}
	v := New(Options{})
	for _, file := range logs {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		p := fwlog.New(fwlog.Options{Now: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)})
		var e fwlog.Event
		for line := range bytes.Lines(text) {
			if p.Read(line, &e) {
				v.Add(&e)
				events++
			}
		}
	}
	scanners = map[string]bool{}
	for _, s := range v.Result().From {
		if s.Kind == Scan {
			scanners[s.Src.String()] = true
		}
	}
	return scanners, events
}
