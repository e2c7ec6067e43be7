package watch

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"pgregory.net/rapid"
)

// twin is the naive engine: the set of open kernel sockets and no more.
type twin map[uint64]exposure.Socket

// rows are one text for each service on each endpoint.
func (w twin) rows() []string {
	out := map[string]bool{}
	for _, s := range w {
		out[s.Endpoint().String()+" "+s.Processes[0].Name] = true
	}
	return slices.Sorted(maps.Keys(out))
}

func rowsOfEngine(e *Engine) []string {
	out := []string{}
	for _, rows := range e.rows {
		for _, r := range rows {
			if !r.closing {
				out = append(out, r.at.String()+" "+r.sock.Processes[0].Name)
			}
		}
	}
	slices.Sort(out)
	return out
}

// Whatever happens, what the engine holds open is what is open; its lines, one
// after another, lead there too; no notice is lost; no table grows beyond what
// is open.
func TestEngineBesideTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHost(judged())
		open, lines, notices := twin{}, map[string]int{}, 0
		cookie := uint64(0)
		changes := 0
		take := func() {
			out := h.e.Take()
			changes += len(out.Changes)
			for _, c := range out.Changes {
				if c.Before != nil {
					lines[c.Before.Endpoint().String()+" "+c.Before.Processes[0].Name]--
				}
				if c.After != nil {
					lines[c.After.Endpoint().String()+" "+c.After.Processes[0].Name]++
				}
			}
			for _, n := range out.Notices {
				if n.Finding == nil {
					notices += max(n.Repeats, 1)
				}
			}
		}
		for range rapid.IntRange(1, 120).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0, 1:
				cookie++
				s := listener(fmt.Sprint("p", rapid.IntRange(0, 2).Draw(t, "program")), int(cookie),
					rapid.SampledFrom([]string{"0.0.0.0", "127.0.0.1", "::"}).Draw(t, "addr"), rapid.Uint16Range(1, 3).Draw(t, "port"))
				h.open(cookie, s)
				open[cookie] = s
			case 2:
				if keys := slices.Sorted(maps.Keys(open)); len(keys) > 0 {
					k := rapid.SampledFrom(keys).Draw(t, "close")
					h.close(k, open[k])
					delete(open, k)
				}
			case 3:
				h.wait(time.Duration(rapid.IntRange(0, 5000).Draw(t, "ms")) * time.Millisecond)
			}
			if got, want := rowsOfEngine(h.e), open.rows(); !slices.Equal(got, want) {
				t.Fatalf("open: %q, want %q", got, want)
			}
			take()
		}
		h.wait(24 * time.Hour)
		take()
		told := []string{}
		for k, n := range lines {
			if n != 0 && n != 1 {
				t.Fatalf("%s is told %d times", k, n)
			}
			if n == 1 {
				told = append(told, k)
			}
		}
		slices.Sort(told)
		if want := open.rows(); !slices.Equal(told, want) {
			t.Fatalf("the lines lead to %q, want %q", told, want)
		}
		if notices < changes {
			t.Fatalf("%d changes, and the notices speak of %d", changes, notices)
		}
		if len(h.e.closing) != 0 || len(h.e.queue) != 0 || h.e.flaps.size() != 0 || h.e.open != len(open.rows()) {
			t.Fatalf("left over: %d closing, %d queued, %d flaps, %d open", len(h.e.closing), len(h.e.queue), h.e.flaps.size(), h.e.open)
		}
	})
}

// However a program restarts, quicker than Missing, nobody is paged.
func TestRestartNeverPages(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHost(judged())
		h.open(1, web)
		h.wait(time.Hour)
		for i := range uint64(rapid.IntRange(1, 30).Draw(t, "restarts")) {
			h.close(1+i, web)
			h.wait(time.Duration(rapid.IntRange(0, 59).Draw(t, "away")) * time.Second)
			next := web
			next.Processes = []exposure.Process{{PID: 100 + int(i), Name: "web", Exe: "/usr/bin/web"}}
			h.open(2+i, next)
			h.wait(time.Duration(rapid.IntRange(0, 300).Draw(t, "up")) * time.Second)
		}
		h.wait(time.Hour)
		for _, n := range h.e.Take().Notices {
			if n.Finding != nil {
				t.Fatalf("paged: %s at %s", n.Finding.ID, n.At)
			}
		}
	})
}

// Endless new listeners fill no table beyond its limit, and what is let go is
// said.
func TestMemoryIsBounded(t *testing.T) {
	o := judged()
	o.Limits = Limits{Rows: 100, Members: 4, Findings: 50, Endpoints: 64}
	h := newHost(o)
	var lost []string
	for i := range uint64(20_000) {
		h.open(i+1, listener("p", int(i), "0.0.0.0", uint16(i%60_000+1)))
		h.now = h.now.Add(time.Millisecond)
		if i%100 == 0 {
			h.e.Tick(h.now)
		}
		lost = append(lost, h.e.Take().Lost...)
	}
	if h.e.open > 100 || len(h.e.judged.byID) > 50 || h.e.flaps.size() > 64 || h.e.touched.size() > 64 || len(h.e.closing) > 100 {
		t.Errorf("%d rows, %d findings, %d flaps, %d touched", h.e.open, len(h.e.judged.byID), h.e.flaps.size(), h.e.touched.size())
	}
	if len(lost) == 0 {
		t.Error("nobody was told that rows were let go")
	}
	for i := range uint64(1000) {
		h.open(100_000+i, listener("q", 7, "0.0.0.0", 9))
	}
	for _, r := range h.e.rows {
		if len(r[0].members) > 4 {
			t.Errorf("%d members", len(r[0].members))
		}
	}
}
