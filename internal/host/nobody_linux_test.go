package host

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// nobodyVariable makes TestReportUnprivileged print what it sees.
const nobodyVariable = "PORTREEVE_TEST_NOBODY"

// asNobody runs one test of this binary as user nobody.
func asNobody(t *testing.T, name string) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "portreeve-nobody-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	binary, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "test")
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, binary, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "-test.run", "^"+name+"$")
	cmd.Dir = "/"
	cmd.Env = []string{nobodyVariable + "=1"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// It only reports; TestWithoutPrivilege judges.
func TestReportUnprivileged(t *testing.T) {
	if os.Getenv(nobodyVariable) == "" {
		t.Skip("started by TestWithoutPrivilege")
	}
	s, err := new(Reader).Snapshot(t.Context(), Options{})
	fmt.Println(err)
	for _, line := range brief(s.Sockets) {
		fmt.Println(line)
	}
	for _, g := range s.Gaps {
		fmt.Println(g.Why)
	}
}
