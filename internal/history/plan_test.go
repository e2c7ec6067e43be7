package history

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/history/drift"
)

// What `history PORT` asks is found by an index, however much there is.
func TestPlans(t *testing.T) {
	s := open(t, Options{})
	for query, args := range map[string][]any{
		strings.Replace(livesOfPort, "?4", "100", 1): {1, "tcp", 0},
		usageSince: {1, "tcp", 0, 0},
		"SELECT count(*) FROM event e WHERE " + eventsOfPort:                                                                     {1, "tcp", 0},
		"SELECT body FROM finding WHERE port = 1 AND proto = 'tcp' AND (resolved IS NULL OR resolved >= 0) ORDER BY opened DESC": nil,
		"SELECT count(*), min(taken) FROM snapshot WHERE taken >= 5":                                                             nil,
		"SELECT source FROM watched WHERE what = 'usage' AND stop > 1 AND start < 2":                                             nil,
		"SELECT min(at) FROM usage WHERE span = 60":                                                                              nil,
		"SELECT min(at) FROM event":                                                                                              nil,
	} {
		rows, err := s.db.Query("EXPLAIN QUERY PLAN "+query, args...)
		if err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		for rows.Next() {
			var a, b, c int
			var step string
			if err := rows.Scan(&a, &b, &c, &step); err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(step, "SCAN") {
				t.Errorf("%s\nreads a whole table: %s", query, step)
			}
		}
		_ = rows.Close()
	}
}

// week fills a store as a watch of a week would.
func week(t testing.TB, s *Store, minutes, ports, clients int) {
	start := noon
	var events []Event
	for i := range 200 {
		x := listener("0.0.0.0", uint16(1000+i), 100+i, "/usr/sbin/d")
		events = append(events, Event{Change: drift.Change{Kind: drift.Opened, Endpoint: x.Endpoint(), After: &x, At: start}, Source: "bpf"})
	}
	for i := range 5000 {
		x := listener("127.0.0.1", uint16(30000+i%500), 1000+i, "/usr/bin/job")
		at := start.Add(time.Duration(i) * time.Minute)
		events = append(events, Event{Change: drift.Change{Kind: drift.Opened, Endpoint: x.Endpoint(), After: &x, At: at}, Source: "bpf"},
			Event{Change: drift.Change{Kind: drift.Closed, Endpoint: x.Endpoint(), Before: &x, At: at.Add(time.Second)}, Source: "bpf"})
	}
	if err := s.Record(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	for m := range minutes {
		var list []Minute
		for p := range ports {
			for c := range clients {
				list = append(list, Minute{At: start.Add(time.Duration(m) * time.Minute), Client: netip.AddrFrom4([4]byte{10, byte(p), byte(m), byte(c)}), Packets: 5, Bytes: 500,
					Endpoint: exposure.Endpoint{Proto: exposure.TCP, Addr: exposure.ParseAddress("0.0.0.0"), Port: uint16(1000 + p)}})
			}
		}
		if err := s.AddUsage(t.Context(), list); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Watch(t.Context(), Watched{From: start, To: start.Add(time.Duration(minutes) * time.Minute), What: WatchUsage, Source: "packets"}); err != nil {
		t.Fatal(err)
	}
}

// Rolling up loses no packet and no client, and keeps the file small.
func TestRollUp(t *testing.T) {
	s := open(t, Options{Keep: Retention{Minutes: time.Hour, Hours: 3 * time.Hour}})
	week(t, s, 240, 3, 2)
	total := func() (packets, rows int) {
		t.Helper()
		if err := s.db.QueryRow("SELECT sum(packets), count(*) FROM usage").Scan(&packets, &rows); err != nil {
			t.Fatal(err)
		}
		return packets, rows
	}
	packets, rows := total()
	before, err := s.Port(t.Context(), exposure.TCP, 1000, time.Time{}, noon.Add(time.Hour*240))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Prune(t.Context(), noon.Add(4*time.Hour)); err != nil {
		t.Fatal(err)
	}
	after, fewer := total()
	if after != packets || fewer >= rows {
		t.Errorf("%d packets in %d rows, were %d in %d", after, fewer, packets, rows)
	}
	then, err := s.Port(t.Context(), exposure.TCP, 1000, time.Time{}, noon.Add(time.Hour*240))
	if err != nil || then.OtherClients == 0 && then.ClientCount != before.ClientCount {
		t.Errorf("%d clients and %d others, were %d, %v", then.ClientCount, then.OtherClients, before.ClientCount, err)
	}
	var spans string
	if err := s.db.QueryRow("SELECT group_concat(DISTINCT span) FROM usage").Scan(&spans); err != nil || spans == "60" {
		t.Errorf("spans %q, %v", spans, err)
	}
}

// Whatever comes, what nobody saved by hand stays bounded.
func TestForgets(t *testing.T) {
	s := open(t, Options{Keep: Retention{Snapshots: 3, Rows: 10, Past: 24 * time.Hour}})
	for i := range 20 {
		save(t, s, "", snapshotOf(noon.Add(time.Duration(i)*time.Minute), listener("0.0.0.0", 80, 10+i, "/d"+fmt.Sprint(i))), SaveOptions{Source: "audit"})
	}
	save(t, s, "mine", snapshotOf(noon), SaveOptions{Baseline: true})
	if err := s.Prune(t.Context(), noon.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	list, err := s.Snapshots(t.Context())
	if err != nil || len(list) != 4 || list[0].Name != "mine" {
		t.Errorf("%d snapshots, %v", len(list), err)
	}
	for table, most := range map[string]int{"event": 10, "life": 12, "socket": 25, "listing": 5} {
		var n int
		if err := s.db.QueryRow("SELECT count(*) FROM " + table).Scan(&n); err != nil || n > most {
			t.Errorf("%d rows of %s, %v", n, table, err)
		}
	}
	if err := s.Prune(t.Context(), noon.Add(1000*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if list, _ := s.Snapshots(t.Context()); len(list) != 1 {
		t.Errorf("a year later: %v", list)
	}
}

func TestFindingsOpenAndResolve(t *testing.T) {
	s := open(t, Options{})
	f := func(ids ...string) (out []exposure.Finding) {
		for _, id := range ids {
			out = append(out, exposure.Finding{ID: id, Rule: id, Severity: exposure.Low, Endpoint: "tcp/[::1]:22", Title: id})
		}
		return out
	}
	for i, step := range []struct {
		now              []string
		opened, resolved string
	}{{[]string{"a", "b"}, "ab", ""}, {[]string{"a", "b"}, "", ""}, {[]string{"b", "c"}, "c", "a"}, {nil, "", "bc"}, {[]string{"a"}, "a", ""}} {
		opened, resolved, err := s.SetFindings(t.Context(), noon.Add(time.Duration(i)*time.Hour), "audit", f(step.now...))
		if err != nil {
			t.Fatal(err)
		}
		text := func(list []FindingLife) (out string) {
			for _, x := range list {
				out += x.ID
			}
			return out
		}
		if o, r := text(opened), text(resolved); o != step.opened || len(r) != len(step.resolved) {
			t.Errorf("step %d: opened %q, resolved %q", i, o, r)
		}
	}
	if _, resolved, err := s.SetFindings(t.Context(), noon, "watch", nil); err != nil || len(resolved) > 0 {
		t.Errorf("another source resolved %v, %v", resolved, err)
	}
	st, err := s.Port(t.Context(), exposure.TCP, 22, time.Time{}, noon)
	if err != nil || len(st.Findings) != 4 {
		t.Errorf("%d findings, %v", len(st.Findings), err)
	}
}
