package identify

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/nettest"
)

// oddPort is where a daemon is met a second time.
func oddPort(port uint16) uint16 { return 40000 + port%20000 }

// inside is a Dial in a namespace.
func inside(ns *nettest.NS) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		ns.Do(func() { conn, err = new(net.Dialer).DialContext(ctx, network, address) })
		return conn, err
	}
}

// awaitPort waits until something listens.
func awaitPort(t *testing.T, ns *nettest.NS, d *daemon) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		conn, err := inside(ns)(t.Context(), "tcp", "127.0.0.1:"+strconv.Itoa(int(d.port)))
		if err != nil {
			continue
		}
		ready := d.name != "http" || answers(conn)
		_ = conn.Close()
		if ready {
			return
		}
	}
	t.Fatalf("%s does not listen", d)
}

// answers reports a web server that has begun to serve: some listen before.
func answers(conn net.Conn) bool {
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	_, err := conn.Write([]byte("GET / HTTP/1.0\r\n\r\n"))
	if err == nil {
		_, err = conn.Read(make([]byte, 1))
	}
	return err == nil
}

// relay carries connections from an odd port to the daemon's own.
func relay(ns *nettest.NS, d *daemon) {
	ln := ns.Listen("tcp", "127.0.0.1:"+strconv.Itoa(int(oddPort(d.port))))
	go func() {
		for {
			from, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				to, err := inside(ns)(context.Background(), "tcp", "127.0.0.1:"+strconv.Itoa(int(d.port)))
				if err != nil {
					_ = from.Close()
					return
				}
				go func() { _, _ = io.Copy(to, from); _ = to.(*net.TCPConn).CloseWrite() }()
				_, _ = io.Copy(from, to)
				_ = from.Close()
				_ = to.Close()
			}()
		}
	}()
}

// nmapService is what nmap says of a port.
type nmapService struct {
	Name    string `xml:"name,attr"`
	Product string `xml:"product,attr"`
	Version string `xml:"version,attr"`
	Method  string `xml:"method,attr"`
}

// nmapAsks runs the oracle over ports of a namespace.
func nmapAsks(t *testing.T, ns *nettest.NS, eps []exposure.Endpoint) (map[uint16]nmapService, time.Duration) {
	t.Helper()
	nettest.Need(t, "nmap")
	var list []string
	for _, e := range eps {
		list = append(list, strconv.Itoa(int(e.Port)))
	}
	start := time.Now()
	out, err := ns.Command("nmap", "-n", "-Pn", "-sV", "-p", strings.Join(list, ","), "-oX", "-", "127.0.0.1").Output()
	if err != nil {
		t.Fatalf("nmap: %v", err)
	}
	took := time.Since(start)
	var doc struct {
		Ports []struct {
			ID      uint16      `xml:"portid,attr"`
			Service nmapService `xml:"service"`
		} `xml:"host>ports>port"`
	}
	if err := xml.Unmarshal(out, &doc); err != nil {
		t.Fatal(err)
	}
	said := map[uint16]nmapService{}
	for _, p := range doc.Ports {
		said[p.ID] = p.Service
	}
	return said, took
}

// nmapNames are nmap's words for names of the registry.
func nmapNames() map[string][]string {
	return map[string][]string{"memcache": {"memcached"}, "rfb": {"vnc"}, "http": {"http-proxy", "ssl/http"},
		"microsoft-ds": {"netbios-ssn"}, "irc": {"ircs-u"}, "beanstalkd": {"beanstalk"}}
}

func sameName(ours, nmaps string) bool {
	if ours == nmaps {
		return true
	}
	for _, n := range nmapNames()[ours] {
		if n == nmaps {
			return true
		}
	}
	return false
}

// Real daemons, at their own ports and at odd ones, are recognised as well as
// by nmap -sV and in less time. nmap takes minutes for the odd ports and the
// heavy daemons: it is asked for them with -full only.
func TestAsWellAsNmap(t *testing.T) {
	light := lightDaemons()
	for i := range light {
		needDaemon(t, &light[i])
	}
	t.Run("light", func(t *testing.T) { compare(t, light) })
	if !*full {
		return
	}
	var heavy []daemon
	for _, d := range heavyDaemons() {
		if d.present() {
			heavy = append(heavy, d)
		}
	}
	t.Run("heavy", func(t *testing.T) { compare(t, heavy) })
}

func compare(t *testing.T, daemons []daemon) {
	ns := nettest.New(t)
	for i := range daemons {
		daemons[i].run(t, ns)
	}
	var home, odd []exposure.Endpoint
	for i := range daemons {
		d := &daemons[i]
		awaitPort(t, ns, d)
		relay(ns, d)
		home, odd = append(home, local(d.port)), append(odd, local(oddPort(d.port)))
	}
	race(t, ns, daemons, home, func(d *daemon) bool { return *full || !d.slow })
	race(t, ns, daemons, odd, func(*daemon) bool { return *full })
}

func local(port uint16) exposure.Endpoint {
	return exposure.Endpoint{Proto: exposure.TCP, Addr: exposure.IPAddress(netip.MustParseAddr("127.0.0.1")), Port: port}
}

// race recognises the daemons at eps, and lets nmap do the same for those that
// it has time for; only they are compared.
func race(t *testing.T, ns *nettest.NS, daemons []daemon, eps []exposure.Endpoint, forNmap func(*daemon) bool) {
	t.Helper()
	start := time.Now()
	found := Greet(t.Context(), eps, Limits{Dial: inside(ns)})
	took := time.Since(start)
	said, nmapTook := map[uint16]nmapService{}, time.Duration(0)
	var both []exposure.Endpoint
	for i, e := range eps {
		if forNmap(&daemons[i]) {
			both = append(both, e)
		}
	}
	if len(both) > 0 {
		said, nmapTook = nmapAsks(t, ns, both)
	}
	s := score(t, daemons, eps, found, said)
	t.Logf("%d endpoints: names %d, nmap %d; versions %d, nmap %d; %.2f s, nmap %.2f s",
		len(eps), s.names, s.nmapNames, s.versions, s.nmapVersions, took.Seconds(), nmapTook.Seconds())
	if s.names < s.nmapNames-1 || s.versions < s.nmapVersions-2 {
		t.Error("worse than nmap")
	}
	if len(both) > 0 && took > nmapTook {
		t.Errorf("took %v, nmap %v", took, nmapTook)
	}
}

type scores struct{ names, nmapNames, versions, nmapVersions int }

// score counts, and prints one line for each endpoint.
func score(t *testing.T, daemons []daemon, eps []exposure.Endpoint, found map[exposure.Endpoint]exposure.Service, said map[uint16]nmapService) scores {
	t.Helper()
	var s scores
	var lines strings.Builder
	for i, e := range eps {
		d, got, nmap := daemons[i], found[e], said[e.Port]
		if got.Name == d.name {
			s.names++
		} else {
			t.Errorf("%s at %d: %q", d.program, e.Port, got.Name)
		}
		if d.version != "" && !strings.HasPrefix(got.Version, d.version) {
			t.Errorf("%s at %d: version %q", d.program, e.Port, got.Version)
		}
		if sameName(d.name, nmap.Name) && nmap.Method == "probed" {
			s.nmapNames++
		}
		if got.Version != "" {
			s.versions++
		}
		if nmap.Version != "" {
			s.nmapVersions++
		}
		fmt.Fprintf(&lines, "\n%-32s %-60s nmap: %s", filepath.Base(d.program)+" at "+strconv.Itoa(int(e.Port)),
			strings.Join([]string{got.Name, got.Product, got.Version, "(" + got.Info + ")", got.Auth}, " "),
			strings.Join([]string{nmap.Name, nmap.Product, nmap.Version}, " "))
	}
	t.Log(lines.String())
	return s
}
