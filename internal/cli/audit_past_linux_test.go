package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/history"
	"github.com/portreeve/portreeve/internal/nettest"
)

// TestAuditPast is what the audit, and explain, have of the history, by the
// built program.
func TestAuditPast(t *testing.T) {
	nettest.Need(t, "python3")
	nettest.Need(t, "ss")
	program := buildProgram(t)
	for name, part := range map[string]func(*timeLab){"since": auditSinceSnapshot, "record": auditRecord, "used": auditUsed} {
		t.Run(name, func(t *testing.T) { t.Parallel(); part(&timeLab{t, nettest.New(t), program, t.TempDir()}) })
	}
}

// pastAudit is what --since adds, and what tests look at besides.
type pastAudit struct {
	self     string // the namespace
	Schema   string
	Findings []struct{ ID, Rule, Endpoint, Severity string }
	Since    *struct {
		Name  string
		Taken time.Time
	}
	Changes []struct {
		Kind, Endpoint string
		Before, After  *struct{ NetNS struct{ ID string } }
	}
	NewFindings []string `json:"new_findings"`
	NewBy       string   `json:"new_findings_by"`
	Incomplete  []struct{ View, Why string }
}

func (l *timeLab) audit(want int, args ...string) pastAudit {
	l.t.Helper()
	code, out, errs := l.run("", append([]string{"audit", "--json"}, args...)...)
	var doc pastAudit
	// All namespaces are listed; what others of this machine do is no failure,
	// as long as it is said.
	err := json.Unmarshal([]byte(out), &doc)
	if want == exitDone && len(doc.Incomplete) > 0 {
		want = exitPartial
	}
	if err != nil || code != want || doc.Schema != "portreeve.audit/1" {
		l.t.Fatalf("audit %v: exit %d, want %d, %v\n%s\n%v", args, code, want, err, errs, doc.Incomplete)
	}
	doc.self = strings.Trim(l.ns.Run("readlink", "/proc/self/ns/net"), "net:[]\n")
	return doc
}

// changes are those of the test's namespace: others have their own.
func (a *pastAudit) changes() []string {
	list := []string{}
	for _, c := range a.Changes {
		at := c.After
		if at == nil {
			at = c.Before
		}
		if at.NetNS.ID == a.self {
			list = append(list, c.Kind+" "+c.Endpoint)
		}
	}
	slices.Sort(list)
	return list
}

// leftOut: something was not compared.
func (a *pastAudit) leftOut() bool {
	for _, g := range a.Incomplete {
		if strings.Contains(g.Why, "left out") || strings.Contains(g.Why, "compared") {
			return true
		}
	}
	return false
}

// anew are the new findings at a port, and the others that stand there.
func (a *pastAudit) anew(port int) (anew, old []string) {
	for _, f := range a.Findings {
		if !strings.HasSuffix(f.Endpoint, fmt.Sprintf(":%d", port)) {
			continue
		}
		if slices.Contains(a.NewFindings, f.ID) {
			anew = append(anew, f.Rule)
		} else {
			old = append(old, f.Rule)
		}
	}
	return anew, old
}

// A snapshot of one namespace is compared within it, by name and by time.
func auditSinceSnapshot(l *timeLab) {
	l.ns.Script("ip link set lo up")
	end := l.serve("0.0.0.0", 8080)
	if code, _, errs := l.run("", "baseline", "save", "--netns", "self", "--name", "first"); code != 0 {
		l.t.Fatalf("save: exit %d, %s", code, errs)
	}
	if a := l.audit(0, "--since", "first"); len(a.Changes)+len(a.NewFindings) > 0 || a.leftOut() || a.Since == nil || a.Since.Name != "first" {
		l.t.Errorf("nothing changed, and it says %+v", a)
	}
	end()
	defer l.serve("0.0.0.0", 9090)()
	want := []string{"closed tcp/0.0.0.0:8080", "opened tcp/0.0.0.0:9090"}
	for _, since := range []string{"first", "1h"} {
		a := l.audit(0, "--since", since)
		got := a.changes()
		anew, old := a.anew(9090)
		if !slices.Equal(got, want) || a.Since.Name != "first" || a.NewBy != "endpoints" || len(anew) == 0 || len(old) > 0 || a.leftOut() {
			l.t.Errorf("--since %s: %v of %+v, new by %s %v, not new %v", since, got, a.Since, a.NewBy, anew, old)
		}
	}
	code, out, errs := l.run("", "audit", "--since", "first", "--fail-on", "low")
	_, section, _ := strings.Cut(out, "Since \"first\"")
	if code != exitFindings || !strings.Contains(section, "9090") || !strings.Contains(section, "8080") {
		l.t.Errorf("text: exit %d\n%s%s", code, out, errs)
	}
	for line := range strings.Lines(section) {
		if len([]rune(line)) > 81 {
			l.t.Errorf("wider than the page: %s", line)
		}
	}
}

// What an audit recorded is what the next one calls old.
func auditRecord(l *timeLab) {
	l.ns.Script("ip link set lo up")
	if code, _, errs := l.run("", "audit", "--since", "1h"); code != exitUsage || !strings.Contains(errs, "baseline save") {
		l.t.Errorf("without a history: exit %d, %s", code, errs)
	}
	defer l.serve("0.0.0.0", 8080)()
	first := l.audit(0, "--record")
	if first.Since != nil || first.Changes != nil || first.NewFindings != nil {
		l.t.Errorf("--record alone: %+v", first.Since)
	}
	defer l.serve("0.0.0.0", 9090)()
	a := l.audit(0, "--record", "--since", "1h")
	anew, _ := a.anew(9090)
	again, old := a.anew(8080)
	if a.NewBy != "findings" || len(anew) == 0 || len(again) > 0 || len(old) == 0 || !slices.Contains(a.changes(), "opened tcp/0.0.0.0:9090") {
		l.t.Errorf("new by %s: 9090 %v, 8080 %v, not new %v, %v", a.NewBy, anew, again, old, a.changes())
	}
	b := l.audit(0, "--since", "1ns")
	if anew, old := b.anew(9090); len(b.changes())+len(anew) > 0 || len(old) == 0 {
		l.t.Errorf("since the last record: %v %v, not new %v", b.changes(), anew, old)
	}
}

const day = 24 * time.Hour

// watched fills a history with a time watched, and clients of port 8080.
func (l *timeLab) watched(state string, days int, clients ...string) {
	l.t.Helper()
	ctx, now := context.Background(), time.Now()
	store, err := history.Open(ctx, filepath.Join(state, "portreeve", history.FileName), history.Options{Clock: time.Now})
	must(l.t, err)
	defer store.Close()
	must(l.t, store.Watch(ctx, history.Watched{From: now.Add(-time.Duration(days) * day), To: now.Add(-time.Minute), What: history.WatchUsage, Source: "connections in the kernel's table"}))
	var list []history.Minute
	for _, c := range clients {
		list = append(list, history.Minute{At: now.Add(-5 * day), Client: netip.MustParseAddr(c), Packets: 9, Connections: 1,
			Endpoint: exposure.Endpoint{Proto: exposure.TCP, Addr: exposure.ParseAddress("0.0.0.0"), Port: 8080}})
	}
	must(l.t, store.AddUsage(ctx, list))
}

// A listener is unused when a month was watched and nobody came; explain says
// who did.
func auditUsed(l *timeLab) {
	l.ns.Script("ip link set lo up")
	defer l.serve("0.0.0.0", 8080)()
	for _, c := range []struct {
		days    int
		clients []string
		unused  bool
		reached string
	}{
		{31, nil, true, "nobody in 31"},
		{31, []string{"192.0.2.7"}, false, "1 client, last "},
		{10, nil, false, "nobody in 10"},
	} {
		l.state = l.t.TempDir()
		l.watched(l.state, c.days, c.clients...)
		a := l.audit(0)
		unused := slices.ContainsFunc(a.Findings, func(f struct{ ID, Rule, Endpoint, Severity string }) bool {
			return f.Rule == "unused-listener" && f.Endpoint == "tcp/0.0.0.0:8080"
		})
		if unused != c.unused {
			l.t.Errorf("%d days, clients %v: unused %v\n%+v", c.days, c.clients, unused, a.Findings)
		}
		code, out, errs := l.run("", "explain", "8080/tcp")
		if code != 0 || !strings.Contains(out, "Reached, 8080/tcp: "+c.reached) || len(c.clients) > 0 && !strings.Contains(out, c.clients[0]) {
			l.t.Errorf("%d days, clients %v: exit %d\n%s%s", c.days, c.clients, code, out, errs)
		}
	}
}
