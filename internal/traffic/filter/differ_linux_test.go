package filter

import (
	_ "embed"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// agree compares our program with tcpdump's on packets. Where tcpdump's own
// optimiser changes a result (it leaves loads out that fall behind the end of
// a short packet), either result will do.
func agree(t testing.TB, link wire.LinkType, expr string, ps []packet) (matched int) {
	t.Helper()
	return agreeAs(t, link, expr, expr, ps)
}

// agreeAs compares our program of one expression with tcpdump's of another.
func agreeAs(t testing.TB, link wire.LinkType, expr, theirExpr string, ps []packet) (matched int) {
	t.Helper()
	theirs := ask(t, link, theirExpr)
	prog, err := Compile(expr, testOptions(link))
	name := tcpdumpNames()[link]
	switch {
	case err != nil && isNever(err):
		mustRejectAll(t, link, expr, theirs, ps)
		return 0
	case err != nil && theirs.refusal == "":
		t.Errorf("%s: tcpdump takes %q, we do not: %v", name, expr, err)
		return 0
	case err != nil:
		return 0
	case theirs.findsZero():
		return 0
	case theirs.refusal != "" && !theirs.rejectsAll():
		t.Errorf("%s: tcpdump refuses %q (%s), we do not", name, expr, theirs.refusal)
		return 0
	}
	var plain *oracle
	for i, p := range ps {
		ours := prog.Match(p.data, p.wire, p.meta)
		if got := slow(prog.raw, p.data, p.wire, p.meta) != 0; got != ours {
			t.Errorf("%q: packet %d: the machine says %v, its twin %v", expr, i, ours, got)
			return matched
		}
		if ours {
			matched++
		}
		if want := theirs.refusal == "" && slow(theirs.prog, p.data, p.wire, p.meta) != 0; ours == want {
			continue
		}
		if plain == nil {
			o := ask(t, link, theirExpr, "-O")
			plain = &o
		}
		if plain.refusal != "" || (slow(plain.prog, p.data, p.wire, p.meta) != 0) != ours {
			t.Errorf("%s: %q on packet %d, % x: we say %v, tcpdump says not", name, expr, i, p.data, ours)
			return matched
		}
	}
	return matched
}

func mustRejectAll(t testing.TB, link wire.LinkType, expr string, o oracle, ps []packet) {
	t.Helper()
	if o.refusal != "" && !o.rejectsAll() {
		t.Errorf("%s: %q: we say that nothing matches, tcpdump: %s", tcpdumpNames()[link], expr, o.refusal)
	}
	for _, p := range ps {
		if o.refusal == "" && slow(o.prog, p.data, p.wire, p.meta) != 0 {
			t.Errorf("%s: %q: we say that nothing matches, tcpdump matches % x", tcpdumpNames()[link], expr, p.data)
			return
		}
	}
}

var (
	//go:embed testdata/expressions.txt
	expressionsFile string
	//go:embed testdata/ours.txt
	oursFile string
	//go:embed testdata/refused.txt
	refusedFile string
)

// entry is a line of a table.
type entry struct {
	link wire.LinkType
	expr string
}

func table(t testing.TB, file string) []entry {
	t.Helper()
	byName := map[string]wire.LinkType{}
	for link, name := range tcpdumpNames() {
		byName[name] = link
	}
	var out []entry
	for line := range strings.Lines(file) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "# ") {
			continue
		}
		e := entry{linkEthernet, line}
		if name, rest, ok := strings.Cut(line, ": "); ok && strings.ToUpper(name) == name && !strings.ContainsAny(name, " []") {
			link, known := byName[name]
			if !known {
				t.Fatalf("no link type %q", name)
			}
			e = entry{link, rest}
		}
		out = append(out, e)
	}
	return out
}

// inParallel runs f for all entries, a few at once: most of the time is
// tcpdump's.
func inParallel(entries []entry, f func(entry)) {
	work := make(chan entry)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for e := range work {
				f(e)
			}
		})
	}
	for _, e := range entries {
		work <- e
	}
	close(work)
	wg.Wait()
}

// packetSets are packets of every link type.
func packetSets(seed uint64, n int) map[wire.LinkType][]packet {
	sets := map[wire.LinkType][]packet{}
	for link := range tcpdumpNames() {
		sets[link] = packets(link, seed, n)
	}
	return sets
}

// TestAsTcpdump: all expressions of the table, on packets of every link type.
func TestAsTcpdump(t *testing.T) {
	sets := packetSets(1, 600)
	entries := table(t, expressionsFile)
	var mu sync.Mutex
	matching := 0
	inParallel(entries, func(e entry) {
		n := agree(t, e.link, e.expr, sets[e.link])
		mu.Lock()
		defer mu.Unlock()
		if n > 0 {
			matching++
		}
	})
	if len(entries) < 400 || matching < len(entries)/2 {
		t.Errorf("%d of %d expressions match any packet: the test says too little", matching, len(entries))
	}
}

// TestOurForms: what we take and tcpdump does not means what we say.
func TestOurForms(t *testing.T) {
	ps := packets(linkEthernet, 2, 3000)
	inParallel(table(t, oursFile), func(e entry) {
		ours, theirs, _ := strings.Cut(e.expr, " => ")
		if o := ask(t, e.link, ours); o.refusal == "" && ours != "proto TCP or UDP" {
			t.Errorf("tcpdump takes %q: it belongs in expressions.txt", ours)
		}
		if agreeAs(t, e.link, ours, theirs, ps) == 0 {
			t.Errorf("%q matches nothing", ours)
		}
	})
}

// TestWhatWeRefuse: the list of what tcpdump takes and we do not is right, and
// the refused part is marked.
func TestWhatWeRefuse(t *testing.T) {
	for _, e := range table(t, refusedFile) {
		line := strings.ReplaceAll(e.expr, `\|`, "\x00")
		expr, part, _ := strings.Cut(line, "|")
		expr, part = strings.ReplaceAll(expr, "\x00", "|"), strings.ReplaceAll(part, "\x00", "|")
		if o := ask(t, e.link, expr); o.refusal != "" {
			t.Errorf("tcpdump refuses %q too: %s", expr, o.refusal)
		}
		_, err := Compile(expr, testOptions(e.link))
		var refused *Error
		if !errors.As(err, &refused) {
			t.Errorf("%q: not refused: %v", expr, err)
			continue
		}
		if got := expr[refused.Pos:refused.End]; got != part {
			t.Errorf("%q: %q is marked, not %q", expr, got, part)
		}
	}
}

// TestAsShortAsTcpdump: our programs are not much longer than tcpdump's
// optimised ones, over the whole table.
func TestAsShortAsTcpdump(t *testing.T) {
	var mu sync.Mutex
	ours, theirs := 0, 0
	inParallel(table(t, expressionsFile)[:150], func(e entry) {
		o := ask(t, e.link, e.expr)
		p, err := Compile(e.expr, testOptions(e.link))
		if o.refusal != "" || err != nil || strings.Contains(e.expr, "chain") {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		ours, theirs = ours+len(p.raw), theirs+len(o.prog)
		if len(p.raw) > 2*len(o.prog) {
			t.Errorf("%q: %d instructions, tcpdump %d", e.expr, len(p.raw), len(o.prog))
		}
	})
	t.Logf("%d instructions, tcpdump %d", ours, theirs)
	if ours*100 > theirs*105 {
		t.Errorf("in all %d instructions, tcpdump %d", ours, theirs)
	}
}

// TestFarJumps: a program longer than a jump can reach is right.
func TestFarJumps(t *testing.T) {
	var parts []string
	for i := range 300 {
		parts = append(parts, fmt.Sprintf("src host 198.51.%d.%d", i/200, i%200))
	}
	long := "(" + strings.Join(parts, " or ") + ") and tcp port 80 or udp port 53"
	p := mustCompile(t, long, testOptions(linkEthernet))
	if len(p.raw) < 300 {
		t.Fatalf("only %d instructions", len(p.raw))
	}
	agree(t, linkEthernet, long, append(packets(linkEthernet, 7, 1500), madeFor()...))
	other := "not (" + strings.Join(parts, " or ") + ")"
	agree(t, linkEthernet, other, append(packets(linkEthernet, 8, 500), madeFor()...))
}
