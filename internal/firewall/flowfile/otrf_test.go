package flowfile

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/portreeve/portreeve/internal/exposure"
)

const otrf = "../../../../shared/fixtures/flows/otrf/datasets/compound/apt29/"

// Zeek's JSON as an exporter changed it (id_orig_h): conn.log is flows, the
// other logs of the folder are left alone, and nothing is unreadable.
func TestOTRF(t *testing.T) {
	names, err := filepath.Glob(otrf + "day*/zeek/*/*.log")
	if err != nil || len(names) < 30 {
		t.Fatalf("%d fixtures, %v", len(names), err)
	}
	states := map[string]int{}
	for _, name := range names {
		r, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		info, problems, err := Read(r, name, Auto, func(f *exposure.Flow) error {
			states[f.State+" "+string(f.Answered)]++
			return nil
		})
		r.Close()
		if err != nil || len(problems) > 0 || info.Format != ZeekJSON {
			t.Errorf("%s: %v, %v, %+v", name, err, problems, info)
		}
		isConn := filepath.Base(name)[len(filepath.Base(name))-8:] == "conn.log"
		if isConn != (info.Flows > 0) || isConn == (len(info.Notes) > 0) {
			t.Errorf("%s: %+v", name, info)
		}
	}
	if states["SF yes"] < 1000 || states["S0 no"] < 50 || states["REJ refused"] != 10 {
		t.Errorf("%v", states)
	}
}
