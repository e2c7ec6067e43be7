package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/portreeve/portreeve/internal/nettest"
)

// serviceScript installs in a mount namespace of its own, where the unit
// folder, /run/systemd and systemctl are the test's.
const serviceScript = `
mount --make-rprivate /
mount -t tmpfs units /etc/systemd/system
mkdir -p /run/systemd && mount -t tmpfs run /run/systemd
cp "$BIN" /run/systemd/portreeve; chmod 755 /run/systemd /run/systemd/portreeve
cd "$DIR"; PATH="$DIR:$PATH"; P=/run/systemd/portreeve; U=/etc/systemd/system/portreeve-watch.service
step() { name=$1; shift; : >log; "$@" >out 2>err; echo "$name $? $(tr '\n' ';' <log)"; }
step nosystemd $P install-service --install
mkdir /run/systemd/system
step tmp $BIN install-service --install --program /tmp/portreeve
step print $P install-service
[ -e $U ] && echo "print wrote"
cp out printed
step install $P install-service --install
cmp printed $U && echo same
step again $P install-service --install
step remove $P install-service --remove
[ -e $U ] || echo gone
step absent $P install-service --remove
printf '[Unit]\n' >$U
step foreign $P install-service --install
step foreign $P install-service --remove
cat $U; rm $U
ln -s /dev/null $U
step masked $P install-service --install
rm $U; touch fail
step fails $P install-service --install
rm fail $U; chmod 777 /run/systemd/portreeve
step writable $P install-service --install
[ -e $U ] || echo untouched
`

const serviceWant = `nosystemd 2 
tmp 2 
print 0 
install 0 daemon-reload;enable --now portreeve-watch.service;
same
again 0 daemon-reload;enable portreeve-watch.service;restart portreeve-watch.service;
remove 0 disable --now portreeve-watch.service;daemon-reload;
gone
absent 2 
foreign 4 
foreign 4 
[Unit]
masked 4 
fails 3 daemon-reload;enable --now portreeve-watch.service;
writable 4 
untouched
`

func TestInstallService(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root for a mount namespace")
	}
	if _, err := os.Stat("/etc/systemd/system"); err != nil {
		nettest.Missing(t, "folder /etc/systemd/system (package systemd)")
	}
	dir := t.TempDir()
	fake := "#!/bin/sh\necho \"$@\" >>" + dir + "/log\n[ ! -e " + dir + "/fail ] || [ \"$1\" != enable ]\n"
	if err := os.WriteFile(filepath.Join(dir, "systemctl"), []byte(fake), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(nettest.Need(t, "unshare"), "-m", "sh", "-c", serviceScript)
	cmd.Env = append(os.Environ(), "BIN="+buildProgram(t), "DIR="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil || string(out) != serviceWant {
		t.Fatalf("%v\n%s\nwant\n%s", err, out, serviceWant)
	}
}

// TestServiceUnitFollowsConfiguration: what the file asks for is in the unit.
func TestServiceUnitFollowsConfiguration(t *testing.T) {
	path := filepath.Join(t.TempDir(), "watch.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func() (string, string, int) {
		var out, errs strings.Builder
		code := Main([]string{"install-service", "--config", path}, strings.NewReader(""), &out, &errs)
		return out.String(), errs.String(), code
	}
	write("version: 1\nsinks: [{kind: mail, to: [root]}]\n")
	if out, errs, code := run(); code != 0 || !strings.Contains(out, "NoNewPrivileges=no") || !strings.Contains(out, "watch --config "+path) || strings.Contains(out, "CAP_NET_RAW") {
		t.Fatal(code, errs, out)
	}
	write("version: 1\nsinks: [{kind: stderr}]\n")
	if out, errs, code := run(); code != 0 || !strings.Contains(out, "NoNewPrivileges=yes") {
		t.Fatal(code, errs, out)
	}
	write("version: 1\nsinks: [{kind: pigeon}]\n")
	if out, errs, code := run(); code != exitUsage || out != "" || !strings.Contains(errs, "pigeon") {
		t.Fatal(code, errs, out)
	}
}
