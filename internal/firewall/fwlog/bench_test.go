package fwlog

import (
	"bytes"
	"context"
	"fmt"
	"testing"
)

// netfilterLog has n lines as busy hosts write them: of the same second many,
// addresses and ports that differ.
func netfilterLog(n int) []byte {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, "Jun  8 14:%02d:%02d gw kernel: [%d.%06d] [UFW BLOCK] IN=enp1s0 OUT= "+
			"MAC=00:00:5e:00:53:01:00:00:5e:00:53:02:08:00 SRC=198.51.%d.%d DST=192.0.2.%d LEN=60 TOS=0x00 "+
			"PREC=0x00 TTL=%d ID=%d DF PROTO=TCP SPT=%d DPT=%d WINDOW=64240 RES=0x00 SYN URGP=0 \n",
			i/6000%60, i/100%60, i, i%1000000, i%256, i/256%256, i%250, 40+i%80, i%65536, 1024+i*7%60000, i*31%10000)
	}
	return b.Bytes()
}

func BenchmarkRead(b *testing.B) {
	log := bytes.Split(bytes.TrimSuffix(netfilterLog(1000), []byte("\n")), []byte("\n"))
	p := New(Options{Now: readAt})
	var e Event
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if !p.Read(log[i%len(log)], &e) {
			b.Fatal("no event")
		}
	}
}

// BenchmarkPorts counts by port: the time is a line's.
func BenchmarkPorts(b *testing.B) {
	const lines = 200000
	log := netfilterLog(lines)
	b.SetBytes(int64(len(log)))
	for b.Loop() {
		total := new([1 << 16]int64)
		_, err := Parallel(context.Background(), bytes.NewReader(log), Options{Now: readAt}, 2, Work[*[1 << 16]int64]{
			New:  func() *[1 << 16]int64 { return new([1 << 16]int64) },
			Take: func(c *[1 << 16]int64, _ int64, _ Kind, e *Event) { c[e.DstPort]++ },
			Done: func(c *[1 << 16]int64) error {
				for i, n := range c {
					total[i] += n
				}
				return nil
			},
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/lines, "ns/line")
}

// BenchmarkNoDialect is what a line costs that no dialect knows.
func BenchmarkNoDialect(b *testing.B) {
	l := []byte("Jun  8 14:34:33 gw sshd[4711]: Failed password for invalid user admin from 198.51.100.7 port 50022 ssh2")
	p := New(Options{Now: readAt})
	var e Event
	for b.Loop() {
		if p.Read(l, &e) {
			b.Fatal("an event")
		}
	}
}

// TestAllocs: no dialect of this family allocates for a line.
func TestAllocs(t *testing.T) {
	for _, name := range []string{"netfilter", "mikrotik", "filterlog", "pflog", "ipfw", "ipmon", "ulogd"} {
		for _, file := range corpusFiles(t) {
			if !bytes.HasPrefix([]byte(file), []byte("testdata/"+name+"/")) {
				continue
			}
			p := New(Options{Now: readAt})
			var e Event
			for i, l := range corpusLines(t, file) {
				if n := testing.AllocsPerRun(10, func() { p.Read(l, &e) }); n != 0 {
					t.Errorf("%s:%d: %v allocations", file, i+1, n)
				}
			}
		}
	}
}
