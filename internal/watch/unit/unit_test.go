package unit

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/portreeve/portreeve/internal/nettest"
)

func all() map[string]Needs {
	return map[string]Needs{
		"plain": {}, "audits": {Audits: true}, "namespaces": {Namespaces: true}, "mail": {Mail: true}, "everything": {true, true, true},
	}
}

// written renders a unit into a file of its name.
func written(t *testing.T, o Options) (path, text string) {
	t.Helper()
	text, err := Render(o)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), Name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path, text
}

// TestScore holds the bounds that docs/install-service.md quotes.
func TestScore(t *testing.T) {
	analyze := nettest.Need(t, "systemd-analyze")
	most := map[string]float64{"plain": 3.1, "audits": 3.4, "namespaces": 3.6, "mail": 4.5, "everything": 5.5}
	for name, needs := range all() {
		path, _ := written(t, Options{Program: "/bin/true", Needs: needs})
		out := nettest.Run(t, analyze, "security", "--offline=true", "--no-pager", path)
		m := regexp.MustCompile(`exposure level for .*: ([0-9.]+)`).FindStringSubmatch(out)
		if m == nil {
			t.Fatal(out)
		}
		score, _ := strconv.ParseFloat(m[1], 64)
		t.Logf("%s: %.1f", name, score)
		if score > most[name] {
			t.Errorf("%s: %.1f is more than %.1f", name, score, most[name])
		}
	}
}

func TestVerify(t *testing.T) {
	analyze := nettest.Need(t, "systemd-analyze")
	for name, needs := range all() {
		path, _ := written(t, Options{Program: "/bin/true", Args: []string{"--config", `/etc/a b/"%$HOME\.yaml`}, Needs: needs})
		out, err := exec.Command(analyze, "verify", path).CombinedOutput()
		if err != nil || strings.Contains(string(out), Name) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
	path, _ := written(t, Options{Program: "/nonexistent/portreeve"})
	if out, _ := exec.Command(analyze, "verify", path).CombinedOutput(); !strings.Contains(string(out), "nonexistent") {
		t.Error("verify finds nothing wrong with a program that is not there: it looked at nothing")
	}
}

// TestNeeds: what is not asked for is not allowed.
func TestNeeds(t *testing.T) {
	for name, needs := range all() {
		_, text := written(t, Options{Program: "/usr/local/bin/portreeve", Needs: needs})
		for what, want := range map[string]bool{
			"CAP_SYS_ADMIN": needs.Namespaces, "CAP_NET_RAW": needs.Audits, "AF_PACKET": needs.Audits, "CAP_SETUID": needs.Mail,
			"NoNewPrivileges=yes": !needs.Mail, "RestrictNamespaces=yes": !needs.Namespaces, "CAP_BPF": true, "ProtectSystem=strict": true,
			"StateDirectory=portreeve": true, "MemoryMax=512M": true, "ExecStart=/usr/local/bin/portreeve watch\n": true,
		} {
			if strings.Contains(text, what) != want {
				t.Errorf("%s: %s is there: %v", name, what, !want)
			}
		}
		if !IsOurs(text) || IsOurs("[Unit]\n"+text) || IsOurs("") {
			t.Error("whose unit it is")
		}
	}
}

func TestCommandLine(t *testing.T) {
	got, err := commandLine([]string{"/opt/port reeve", "watch", `a"b\c`, "$HOME", "100%", ""})
	if want := `"/opt/port reeve" watch "a\"b\\c" "$$HOME" 100%% ""`; err != nil || got != want {
		t.Errorf("%s, want %s (%v)", got, want, err)
	}
	for _, bad := range []string{"/a\nExecStartPre=/bin/evil", "/a\x00", `/a"b`, "/a$b"} {
		if got, err := commandLine([]string{bad}); err == nil {
			t.Errorf("%q became %s", bad, got)
		}
	}
}
