package history

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/history/drift"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 5, time.UTC)

func open(t *testing.T, o Options) *Store {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "state", FileName), o)
}

func openAt(t *testing.T, path string, o Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// listener is a row as the host view makes them.
func listener(addr string, port uint16, pid int, exe string) exposure.Socket {
	ip := netip.MustParseAddr(addr)
	return exposure.Socket{Proto: exposure.TCP, State: exposure.Listen, Addr: exposure.IPAddress(ip), Port: port, Scope: exposure.ScopeOf(ip),
		NetNS: exposure.NetNS{ID: "1"}, Sockets: 1, Inodes: []uint64{uint64(pid)*10 + 1}, Uncertain: []string{}, Service: "www",
		Processes: []exposure.Process{{PID: pid, Name: filepath.Base(exe), Exe: exe, Cmdline: exe + " -D", User: "root", Started: noon.Add(time.Duration(pid) * time.Second)}}}
}

func snapshotOf(at time.Time, socks ...exposure.Socket) *drift.Snapshot {
	s := &drift.Snapshot{View: drift.View{NetNS: drift.AllNetNS, Boot: "b", Known: true, Caps: ^uint64(0)}}
	s.Taken, s.Host, s.Self, s.Sockets, s.Gaps = at, "web", exposure.NetNS{ID: "1"}, socks, []exposure.Gap{}
	return s
}

func save(t *testing.T, s *Store, name string, snap *drift.Snapshot, o SaveOptions) Snapshot {
	t.Helper()
	info, err := s.SaveSnapshot(t.Context(), name, snap, o)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

var same = cmp.Options{cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty()}

func TestSnapshotComesBack(t *testing.T) {
	s := open(t, Options{})
	snap := snapshotOf(noon, listener("0.0.0.0", 80, 10, "/usr/sbin/nginx"), listener("::1", 22, 11, "/usr/sbin/sshd"))
	snap.Gaps = []exposure.Gap{{View: "host", Why: "why"}}
	info := save(t, s, "", snap, SaveOptions{Baseline: true})
	if info.Name != "2026-03-01T12:00:00Z" || !info.Default || info.Sockets != 2 || info.Gaps != 1 {
		t.Errorf("%+v", info)
	}
	for _, name := range []string{"", info.Name} {
		_, got, err := s.Snapshot(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(snap, got, same); d != "" {
			t.Errorf("%q:\n%s", name, d)
		}
	}
	if _, _, err := s.Snapshot(t.Context(), "other"); !errors.Is(err, ErrNoSnapshot) {
		t.Errorf("an unknown name: %v", err)
	}
}

func TestModes(t *testing.T) {
	s := open(t, Options{})
	save(t, s, "", snapshotOf(noon), SaveOptions{})
	dir, err := os.Stat(filepath.Dir(s.Path()))
	if err != nil || dir.Mode().Perm() != 0o700 {
		t.Errorf("folder %v, %v", dir.Mode(), err)
	}
	files, _ := filepath.Glob(filepath.Join(filepath.Dir(s.Path()), "*"))
	for _, f := range files {
		if st, err := os.Stat(f); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", f, st.Mode(), err)
		}
	}
}

func TestUnchangedHostCostsLittle(t *testing.T) {
	s := open(t, Options{})
	var socks []exposure.Socket
	for i := range 200 {
		socks = append(socks, listener("0.0.0.0", uint16(1000+i), 100+i, "/usr/sbin/d"))
	}
	save(t, s, "", snapshotOf(noon, socks...), SaveOptions{})
	before := pages(t, s)
	for i := range 100 {
		save(t, s, "", snapshotOf(noon.Add(time.Duration(i+1)*time.Minute), socks...), SaveOptions{})
	}
	if grown := (pages(t, s) - before) * 4096; grown > 100*1024 {
		t.Errorf("100 snapshots of an unchanged host took %d bytes", grown)
	}
}

func pages(t *testing.T, s *Store) int {
	t.Helper()
	var n int
	if err := s.db.QueryRow("PRAGMA page_count").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestNames(t *testing.T) {
	s := open(t, Options{})
	save(t, s, "a", snapshotOf(noon), SaveOptions{Baseline: true})
	if _, err := s.SaveSnapshot(t.Context(), "a", snapshotOf(noon), SaveOptions{}); !errors.Is(err, ErrNameTaken) {
		t.Errorf("a name twice: %v", err)
	}
	save(t, s, "a", snapshotOf(noon.Add(time.Hour)), SaveOptions{Replace: true, Baseline: true})
	for range 3 {
		save(t, s, "", snapshotOf(noon), SaveOptions{})
	}
	list, err := s.Snapshots(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, x := range list {
		names = append(names, fmt.Sprint(x.Name, x.Default))
	}
	want := []string{"2026-03-01T12:00:00Zfalse", "2026-03-01T12:00:00Z-2false", "2026-03-01T12:00:00Z-3false", "atrue"}
	if d := cmp.Diff(want, names); d != "" {
		t.Error(d)
	}
}

func TestDefaultPasses(t *testing.T) {
	s := open(t, Options{})
	save(t, s, "a", snapshotOf(noon), SaveOptions{Baseline: true})
	save(t, s, "b", snapshotOf(noon.Add(time.Hour)), SaveOptions{Baseline: true})
	save(t, s, "c", snapshotOf(noon.Add(2*time.Hour)), SaveOptions{})
	expect := func(want string) {
		t.Helper()
		if info, _, err := s.Snapshot(t.Context(), ""); err != nil || info.Name != want {
			t.Errorf("default %q, %v; want %q", info.Name, err, want)
		}
	}
	expect("b")
	if err := s.Choose(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	expect("a")
	if err := s.Delete(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	expect("b")
	if err := s.Delete(t.Context(), "a"); !errors.Is(err, ErrNoSnapshot) {
		t.Errorf("deleted twice: %v", err)
	}
}

func TestUsageAddsUp(t *testing.T) {
	s := open(t, Options{Keep: Retention{Clients: 3}})
	ssh := exposure.Endpoint{Proto: exposure.TCP, Addr: exposure.ParseAddress("0.0.0.0"), Port: 22}
	var list []Minute
	for i := range 6 {
		list = append(list, Minute{At: noon.Add(time.Duration(i) * time.Second), Endpoint: ssh, Client: netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), Packets: uint64(10 + i), Bytes: 100})
	}
	for range 2 {
		if err := s.AddUsage(t.Context(), list); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Watch(t.Context(), Watched{From: noon.Add(-time.Hour), To: noon.Add(time.Minute), What: WatchUsage, Source: "packets"}); err != nil {
		t.Fatal(err)
	}
	uses, cover, err := s.LastUse(t.Context(), []exposure.Endpoint{ssh, {Proto: exposure.TCP, Addr: ssh.Addr, Port: 23}}, noon.Add(-24*time.Hour), noon.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if u := uses[0]; u.Count < 3 || !u.AtLeast || u.Packets != 150 || !u.Last.Equal(noon.Truncate(time.Minute)) {
		t.Errorf("%+v", u)
	}
	if uses[1].Count != 0 || !uses[1].Last.IsZero() {
		t.Errorf("nobody used telnet: %+v", uses[1])
	}
	if cover.Watched != time.Hour+time.Minute {
		t.Errorf("watched %v", cover.Watched)
	}
}

func TestManyAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), FileName)
	const stores, each = 4, 25
	errs := make(chan error, stores)
	for i := range stores {
		go func() {
			errs <- func() error {
				s, err := Open(context.Background(), path, Options{Busy: time.Minute})
				if err != nil {
					return err
				}
				defer s.Close()
				for k := range each {
					if _, err := s.SaveSnapshot(context.Background(), fmt.Sprint(i, "-", k), snapshotOf(noon.Add(time.Duration(k)*time.Second), listener("0.0.0.0", uint16(1+i), 9, "/d")), SaveOptions{}); err != nil {
						return err
					}
				}
				return nil
			}()
		}()
	}
	for range stores {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	s := openAt(t, path, Options{ReadOnly: true})
	list, err := s.Snapshots(t.Context())
	if err != nil || len(list) != stores*each {
		t.Errorf("%d snapshots of %d, %v", len(list), stores*each, err)
	}
}
