package nettest

import (
	"net"
	"os"
	"strings"
	"testing"
)

// Two namespaces joined by a veth reach each other and nothing leaks.
func TestVethJoinsTwoNamespaces(t *testing.T) {
	var path string
	t.Run("joined", func(t *testing.T) {
		a, b := New(t), New(t)
		path = a.Path()
		Veth(t, a, b, "10.9.0.1/24", "10.9.0.2/24")
		ln := b.Listen("tcp", "10.9.0.2:8080")
		a.Do(func() {
			c, err := net.Dial("tcp", ln.Addr().String())
			if err != nil {
				t.Error(err)
				return
			}
			_ = c.Close()
		})
		if a.Inode() == b.Inode() {
			t.Error("two namespaces share one inode")
		}
		if out := b.Run("ss", "-Hltn"); !strings.Contains(out, "10.9.0.2:8080") {
			t.Errorf("ss inside does not see the listener: %s", out)
		}
	})
	if path == "" {
		t.Skip("nettest: needs root to make a network namespace")
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("namespace left behind: %v", err)
	}
}
