package cli

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/portreeve/portreeve/internal/nettest"
)

// The policy made of a host expects what the audit of that host finds, and
// nothing else; it is a good policy but for its reasons.
func TestPolicyInitThenAudit(t *testing.T) {
	l := newLab(t)
	dir := programDir(t, 0o755)
	l.serve(l.ns, filepath.Join(dir, "svc[d] 3.2"), "tcp 0.0.0.0:22 SSH-2.0-OpenSSH_9.2|tcp 10.7.0.1:8080 silent|tcp 127.0.0.1:8080 silent|tcp [fd07::1]:8081 silent|tcp 127.0.0.1:5432 silent|tcp 0.0.0.0:40123 silent")
	name := filepath.Join(t.TempDir(), "policy.yaml")
	if out, errs, code := l.run("policy", "init", "-o", name); code != exitDone || out != "" {
		t.Fatalf("%d %s %s", code, out, errs)
	}
	if out, errs, code := l.run("policy", "check", name, "--fail-on", "medium"); code != exitDone || !strings.Contains(out, "todo") {
		t.Errorf("%d %s %s", code, out, errs)
	}
	rep := l.audit("--policy", name)
	if len(rep.Endpoints) != 6 {
		t.Errorf("%d rows", len(rep.Endpoints))
	}
	for _, f := range rep.Findings {
		if f.Rule == "not-in-policy" || f.Rule == "missing-expected" || f.Rule == "expired-entry" {
			t.Errorf("%+v", f)
		}
	}
	l.serve(l.ns, filepath.Join(dir, "other"), "tcp 0.0.0.0:9999 silent")
	if got := ofPorts(l.audit("--policy", name)); !strings.Contains(strings.Join(got, ","), "not-in-policy 9999") {
		t.Errorf("what came later is not told: %v", got)
	}
}

// A full disk leaves what was there, and nothing of ours.
func TestPolicyInitOnFullDisk(t *testing.T) {
	nettest.Need(t, "unshare")
	program, dir := buildProgram(t), t.TempDir()
	doc := write(t, "host.json", hostDoc)
	script := fmt.Sprintf(`mount -t tmpfs -o size=8k none %[1]s && echo old > %[1]s/p.yaml && head -c 4096 /dev/zero > %[1]s/z
%[2]s policy init --from %[3]s -o %[1]s/p.yaml --force; echo "exit $?"
%[2]s policy init --from %[3]s -o %[1]s/new.yaml; echo "exit $?"
%[2]s policy init --from %[3]s > /dev/full; echo "exit $?"
%[2]s policy check %[1]s/p.yaml; echo "exit $?"; cat %[1]s/p.yaml; ls -A %[1]s`, dir, program, doc)
	out, err := exec.Command("unshare", "-m", "sh", "-c", script).CombinedOutput()
	must(t, err)
	if strings.Count(string(out), "no space left") != 3 || strings.Count(string(out), "exit 3") != 3 || !strings.HasSuffix(string(out), "exit 2\nold\np.yaml\nz\n") {
		t.Errorf("%s", out)
	}
}
