package inventory

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"slices"
	"sync"
	"testing"
	"time"
)

// tap keeps what is written to a connection, in the order of both sides.
type tap struct {
	net.Conn
	server bool
	log    *[]said
	lock   *sync.Mutex
}

func (t tap) Write(b []byte) (int, error) {
	t.lock.Lock()
	*t.log = append(*t.log, said{t.server, string(b)})
	t.lock.Unlock()
	return t.Conn.Write(b)
}

// shakeHands lets Go's own TLS speak over a pipe and tells what was said.
func shakeHands(t *testing.T, version uint16) []said {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "shop"}, DNSNames: []string{"shop.example", "www.shop.example"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	var log []said
	var lock sync.Mutex
	a, b := net.Pipe()
	server := tls.Server(tap{b, true, &log, &lock}, &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, NextProtos: []string{"h2", "http/1.1"}, MaxVersion: version,
	})
	client := tls.Client(tap{a, false, &log, &lock}, &tls.Config{
		ServerName: "shop.example", NextProtos: []string{"h2", "http/1.1"}, InsecureSkipVerify: true, MinVersion: tls.VersionTLS12,
	})
	done := make(chan error, 1)
	go func() { done <- server.Handshake() }()
	if err := client.Handshake(); err != nil {
		t.Fatal(err)
	}
	if version == tls.VersionTLS12 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	a.Close()
	b.Close()
	lock.Lock()
	defer lock.Unlock()
	return slices.Clone(log)
}

func TestTLS(t *testing.T) {
	for version, want := range map[uint16][2]string{
		tls.VersionTLS12: {"TLS 1.2", "sni shop.example alpn h2 certificate shop.example,www.shop.example"},
		tls.VersionTLS13: {"TLS 1.3", "sni shop.example offers h2"},
	} {
		messages := shakeHands(t, version)
		for _, size := range []int{1 << 16, 700, 150} {
			i := New(Options{})
			converse(i, protoTCP, 8443, messages, func(s string) []string {
				var out []string
				for part := range slices.Chunk([]byte(s), size) {
					out = append(out, string(bytes.Clone(part)))
				}
				return out
			})
			s := serviceAt(i, protoTCP, 8443)
			if s.Service != "tls" || s.Version != want[0] || s.Detail != want[1] {
				t.Errorf("in pieces of %d: %+v, want %q", size, s, want)
			}
		}
	}
}
