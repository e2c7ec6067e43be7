package knowledge_test

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/knowledge"
)

func TestName(t *testing.T) {
	b := knowledge.Open()
	for _, c := range []struct {
		proto exposure.Proto
		port  uint16
		want  string
	}{
		{exposure.TCP, 22, "ssh"}, {exposure.SCTP, 22, "ssh"}, {exposure.TCP, 80, "http"},
		{exposure.TCP, 443, "https"}, {exposure.UDP, 53, "domain"}, {exposure.TCP, 111, "sunrpc"},
		{exposure.UDP, 5353, "mdns"}, {exposure.TCP, 2049, "nfs"}, {exposure.TCP, 631, "ipp"},
		{exposure.TCP, 465, "submissions"}, {exposure.TCP, 6379, "redis"}, {exposure.TCP, 3306, "mysql"},
		{exposure.TCP, 3389, "ms-wbt-server"}, {exposure.TCP, 8080, "http-alt"}, {exposure.TCP, 6010, "x11"},
		{exposure.TCP, 6667, "ircu"}, {exposure.TCP, 9100, "pdl-datastream"}, {exposure.DCCP, 9, "discard"},
		{exposure.UDPLite, 53, "domain"}, {exposure.TCP, 834, ""}, {exposure.TCP, 65535, ""},
		{exposure.TCP, 0, ""}, {exposure.ICMP, 8, ""}, {"", 22, ""}, {exposure.UDP, 514, "syslog"},
		{exposure.TCP, 514, "shell"}, {exposure.TCP, 657, "rmc"}, {exposure.UDP, 657, "rmc"},
	} {
		if got := b.Name(c.proto, c.port); got != c.want {
			t.Errorf("Name(%s, %d) = %q, want %q", c.proto, c.port, got, c.want)
		}
	}
}

func TestEntry(t *testing.T) {
	b := knowledge.Open()
	e, ok := b.Entry(exposure.TCP, 42)
	if !ok || e.Name != "nameserver" || !slices.Equal(e.Names, []string{"nameserver", "name"}) {
		t.Errorf("42/tcp: %+v, %v", e, ok)
	}
	e, ok = b.Entry(exposure.TCP, 0)
	if !ok || e.Name != "" || e.Description != "Reserved" {
		t.Errorf("0/tcp: %+v, %v", e, ok)
	}
	if e, ok := b.Entry(exposure.TCP, 834); ok {
		t.Errorf("834/tcp is in no registry, got %+v", e)
	}
	if _, ok := b.Entry(exposure.ICMP, 22); ok {
		t.Error("icmp has no ports")
	}
}

func TestByName(t *testing.T) {
	b := knowledge.Open()
	for name, want := range map[string]string{
		"ssh": "tcp/22", "SSH": "tcp/22", "sshd": "tcp/22", "/usr/sbin/sshd": "tcp/22",
		"redis-server": "tcp/6379", "dns": "tcp/53", "rdp": "tcp/3389", "whois++": "tcp/63",
		"openvpn": "tcp/1194", "portmapper": "tcp/111", "nosuchservice": "",
	} {
		got := ""
		if list := b.ByName(name); len(list) > 0 {
			got = string(list[0].Proto) + "/" + strconv.Itoa(int(list[0].Port))
		}
		if got != want {
			t.Errorf("ByName(%q) begins with %q, want %q", name, got, want)
		}
	}
	// What an advice claims without the registry knowing it is still answered.
	list := b.ByName("kubelet-readonly")
	if len(list) != 1 || list[0].Port != 10255 || list[0].Description == "" {
		t.Errorf("kubelet-readonly: %+v", list)
	}
}

func TestReserved(t *testing.T) {
	for port, want := range map[uint16][2]string{
		0: {"system", "reserved"}, 1: {"system", "root or CAP_NET_BIND_SERVICE"}, 834: {"system", "root"},
		1023: {"system", "root"}, 1024: {"user", "registered"}, 40000: {"user", "32768–60999"},
		49151: {"user", "registered"}, 49152: {"dynamic", "32768–60999"}, 60999: {"dynamic", "60999"},
		65535: {"dynamic", "never assigned"},
	} {
		if got := knowledge.Range(port); got != want[0] {
			t.Errorf("Range(%d) = %q, want %q", port, got, want[0])
		}
		if got := knowledge.Reserved(port); !strings.Contains(got, want[1]) {
			t.Errorf("Reserved(%d) = %q, want %q in it", port, got, want[1])
		}
	}
	if s := knowledge.Reserved(65535); strings.Contains(s, "60999") {
		t.Errorf("65535 lies outside the kernel's range: %q", s)
	}
}

// One Book asked by many at once, first questions included (run with -race).
func TestConcurrent(t *testing.T) {
	b := knowledge.Open()
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if b.Name(exposure.TCP, 22) != "ssh" || b.Advice(exposure.TCP, 6379).ID != "redis" || b.AdviceFor("sshd").ID != "ssh" {
				t.Error("wrong answer")
			}
		})
	}
	wg.Wait()
}

func TestNameAllocatesNothing(t *testing.T) {
	b := knowledge.Open()
	b.Name(exposure.TCP, 22)
	if n := testing.AllocsPerRun(100, func() { b.Name(exposure.TCP, 6379) }); n != 0 {
		t.Errorf("%v allocations a look-up", n)
	}
}

// csvDifferences pins where the embedded table (a newer registry) and the CSV
// fixture (an older one) disagree: the registry renamed these assignments.
var csvDifferences = map[string]string{
	"1980/tcp": "panquest-xact", "1980/udp": "panquest-xact", "5543/tcp": "qftest-lic-mcp",
}

// The IANA registry as CSV is the oracle for the embedded table: every
// (port, transport) that it names has the same names here.
func TestAgainstCSV(t *testing.T) {
	want := csvNames(t)
	b := knowledge.Open()
	differences := 0
	for at, names := range want {
		port, proto, _ := strings.Cut(at, "/")
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			t.Fatal(err)
		}
		e, ok := b.Entry(exposure.Proto(proto), uint16(n))
		if pinned, is := csvDifferences[at]; is {
			differences++
			names = []string{pinned}
		}
		if !ok || !sameNames(e.Names, names) {
			t.Errorf("%s: %q, the registry says %q", at, e.Names, names)
		}
	}
	if len(want) < 11000 || differences != len(csvDifferences) {
		t.Errorf("compared %d, %d pinned differences of %d", len(want), differences, len(csvDifferences))
	}
}

func sameNames(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(slices.Compact(a), slices.Compact(b))
}

func csvNames(t *testing.T) map[string][]string {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "..", "..", "shared", "fixtures", "registries", "iana", "service-names-port-numbers.csv"))
	if os.IsNotExist(err) {
		t.Skip("the IANA fixture is not beside the repository")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{}
	for _, row := range rows[1:] {
		name, ports, proto := row[0], row[1], row[2]
		if name == "" || ports == "" || proto == "" {
			continue
		}
		from, to, isRange := strings.Cut(ports, "-")
		if !isRange {
			to = from
		}
		a, errA := strconv.Atoi(from)
		z, errZ := strconv.Atoi(to)
		if errA != nil || errZ != nil {
			t.Fatalf("row %q", row)
		}
		for p := a; p <= z; p++ {
			at := strconv.Itoa(p) + "/" + proto
			out[at] = append(out[at], name)
		}
	}
	return out
}

// The three transports of Microsoft's table that our advice must know.
func TestKnowsMicrosoftTable(t *testing.T) {
	f, err := os.Open(filepath.Join("..", "..", "..", "shared", "fixtures", "registries", "microsoft", "kb832017-ports.tsv"))
	if os.IsNotExist(err) {
		t.Skip("the Microsoft fixture is not beside the repository")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.Comma = '\t'
	r.LazyQuotes = true
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	b := knowledge.Open()
	known, missing := 0, []string(nil)
	for _, row := range rows[1:] {
		port, err := strconv.ParseUint(row[0], 10, 16)
		if err != nil {
			continue // the range of dynamic ports
		}
		if len(b.Candidates(exposure.Proto(row[1]), uint16(port))) > 0 {
			known++
		} else {
			missing = append(missing, row[0]+"/"+row[1])
		}
	}
	t.Logf("%d known; without advice: %v", known, missing)
	if known < 90 {
		t.Errorf("advice for only %d of Microsoft's ports; missing %v", known, missing)
	}
}

func BenchmarkFirstNames(b *testing.B) {
	for b.Loop() {
		k := knowledge.Open()
		for _, p := range []uint16{22, 80, 443, 6379, 5432, 111} {
			k.Name(exposure.TCP, p)
		}
	}
}

func BenchmarkFirstAdvice(b *testing.B) {
	for b.Loop() {
		if knowledge.Open().Advice(exposure.TCP, 22) == nil {
			b.Fatal("no advice for ssh")
		}
	}
}

func BenchmarkName(b *testing.B) {
	k := knowledge.Open()
	for b.Loop() {
		k.Name(exposure.TCP, 6379)
	}
}
