package nmapxml

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/nettest"
)

const dtd = "/usr/share/nmap/nmap.dtd"

// nmap's own DTD accepts what is written.
func TestWriteIsValid(t *testing.T) {
	xmllint := nettest.Need(t, "xmllint")
	if _, err := os.Stat(dtd); err != nil {
		nettest.Missing(t, dtd)
	}
	dir := t.TempDir()
	args := []string{"--noout", "--nonet", "--dtdvalid", dtd}
	for seed := range 40 {
		d := rapid.Custom(docGen).Example(seed)
		args = append(args, writeFile(t, filepath.Join(dir, fmt.Sprint(seed, ".xml")), d))
	}
	if out, err := exec.Command(xmllint, args...).CombinedOutput(); err != nil {
		t.Errorf("%v\n%.4000s", err, out)
	}
}

// ndiff reads the documents and sees what differs between two of them.
func TestNdiffReads(t *testing.T) {
	ndiff, dir := nettest.Need(t, "ndiff"), t.TempDir()
	one := writeFile(t, filepath.Join(dir, "1.xml"), plainDoc())
	two := plainDoc()
	two.Scan.Hosts[0].Ports = append(two.Scan.Hosts[0].Ports, exposure.PortState{Port: 80, Proto: "tcp", State: exposure.Open, Reason: "syn-ack"})
	other := writeFile(t, filepath.Join(dir, "2.xml"), two)
	if out, err := exec.Command(ndiff, one, one).CombinedOutput(); err != nil || bytes.Contains(out, []byte("WARNING")) {
		t.Errorf("a document differs from itself: %v\n%s", err, out)
	}
	out, err := exec.Command(ndiff, one, other).CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(string(out), "+80/tcp open") {
		t.Errorf("%v\n%s", err, out)
	}
}

// greet answers every client of a listener with a text, or an HTTP request
// with a page, and closes.
func greet(ln net.Listener, greeting, page string) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(3 * time.Second))
			_, _ = c.Write([]byte(greeting))
			var b [256]byte
			if n, _ := c.Read(b[:]); bytes.HasPrefix(b[:n], []byte("GET")) {
				_, _ = c.Write([]byte(page))
			}
		}()
	}
}

func withTLS(t *testing.T, ln net.Listener) net.Listener {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.CreateCertificate(rand.Reader, certificate(), certificate(), &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{cert}, PrivateKey: key}}})
}

func certificate() *x509.Certificate {
	return &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "web-01.example.net"}, DNSNames: []string{"web-01.example.net", "a,b.example"},
		IPAddresses: []net.IP{net.IPv4(192, 0, 2, 1).To4()}, NotAfter: time.Date(2041, 2, 3, 4, 5, 6, 0, time.UTC)}
}

// The certificate that nmap's script tells is read, and ours is read alike.
func TestCertificateAgainstNmap(t *testing.T) {
	nettest.Need(t, "nmap")
	ns, doc := nettest.New(t), filepath.Join(t.TempDir(), "n.xml")
	go greet(withTLS(t, ns.Listen("tcp4", "127.0.0.1:443")), "", "")
	ns.Run("nmap", "-n", "-Pn", "-sT", "-p443", "--script", "ssl-cert", "-oX", doc, "127.0.0.1")
	run := readRun(t, doc)
	c := certificate()
	want := &exposure.TLSDetail{Subject: c.Subject.CommonName, Issuer: c.Subject.CommonName, Names: []string{"web-01.example.net", "a,b.example", "192.0.2.1"}, NotAfter: c.NotAfter}
	var b bytes.Buffer
	if err := Write(&b, Doc{Scan: &exposure.Scan{Hosts: run.Hosts}}); err != nil {
		t.Fatal(err)
	}
	ours, err := Read(&b)
	if err != nil {
		t.Fatal(err)
	}
	for name, hosts := range map[string][]exposure.HostScan{"nmap": run.Hosts, "ours": ours} {
		if diff := cmp.Diff(want, hosts[0].Ports[0].Service.TLSDetail); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

const hostilePage = "HTTP/1.0 200 OK\r\nServer: Apache/2.4.57 (a/b, c \x1b[31m)\r\n\r\nhi"

// lab is a namespace with listeners, drops and rejects for nmap to see.
func lab(t *testing.T) *nettest.NS {
	t.Helper()
	nettest.Need(t, "nft")
	ns := nettest.New(t)
	go greet(ns.Listen("tcp4", "127.0.0.1:22"), "SSH-2.0-OpenSSH_9.2p1 Debian/x-2\r\n", "")
	go greet(ns.Listen("tcp4", "127.0.0.1:80"), "", hostilePage)
	go greet(withTLS(t, ns.Listen("tcp4", "127.0.0.1:443")), "", hostilePage)
	go greet(ns.Listen("tcp4", "127.0.0.1:999"), "", "")
	ns.Script(`nft add table inet t
nft 'add chain inet t i { type filter hook input priority 0; }'
nft add rule inet t i tcp dport 30-59 drop
nft add rule inet t i udp dport 30-59 drop
nft add rule inet t i tcp dport 60-69 reject with icmpx type admin-prohibited`)
	return ns
}

// What nmap writes with -oG is what WriteGrepable writes of the same scan read
// from nmap's XML, but for the comments; and ndiff finds no difference between
// nmap's XML and ours.
func TestAgainstNmap(t *testing.T) {
	nettest.Need(t, "nmap")
	ndiff := nettest.Need(t, "ndiff")
	ns := lab(t)
	for name, args := range map[string]string{
		"versions":      "-Pn -sS -sV --version-light -p 22,80,443,999,100-130 127.0.0.1",
		"two protocols": "-Pn -sS -sU --max-retries 0 -p T:20-25,60,U:30-32,123 127.0.0.1",
		"one state":     "-Pn -sT -p 100-199 127.0.0.1",
		"two states":    "-Pn -sT --max-retries 0 -p 22,30-69,100-160 127.0.0.1 127.0.0.2",
		"silence":       "-Pn -sT --max-retries 0 -p 30-59 127.0.0.1",
		"acknowledged":  "-Pn -sA --max-retries 0 -p 22-30,31-59 127.0.0.1",
		"hosts only":    "-sn 127.0.0.1-3",
		"IPv6":          "-6 -Pn -sT -p 22,100-120 ::1",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			grep, doc := filepath.Join(dir, "n.gnmap"), filepath.Join(dir, "n.xml")
			inside(t, ns, "nmap", append(strings.Fields("-n -oG "+grep+" -oX "+doc), strings.Fields(args)...)...)
			run := readRun(t, doc)
			scan := exposure.Scan{Taken: run.Taken, Hosts: run.Hosts, Stats: exposure.ScanStats{Seconds: run.Seconds}}
			var ours bytes.Buffer
			if err := WriteGrepable(&ours, Doc{Scan: &scan}); err != nil {
				t.Fatal(err)
			}
			nmaps, err := os.ReadFile(grep)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(hostLines(string(nmaps)), hostLines(ours.String())); diff != "" {
				t.Errorf("(-nmap +ours):\n%s", diff)
			}
			mine := writeFile(t, filepath.Join(dir, "p.xml"), Doc{Scan: &scan})
			inside(t, ns, ndiff, doc, mine) // fails where anything differs
		})
	}
}

func inside(t *testing.T, ns *nettest.NS, name string, args ...string) {
	t.Helper()
	if out, err := ns.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

func readRun(t *testing.T, file string) Run {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	run, err := Parse(f)
	if err != nil {
		t.Fatal(err)
	}
	return run
}

func hostLines(doc string) []string {
	var out []string
	for line := range strings.Lines(doc) {
		if !strings.HasPrefix(line, "#") {
			out = append(out, line)
		}
	}
	return out
}
