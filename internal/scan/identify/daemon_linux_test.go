package identify

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/portreeve/portreeve/internal/nettest"
)

// daemon is a server of Debian's, run in a namespace from a folder of its own.
type daemon struct {
	program string // to be found; others than light ones are left out without it
	pkg     string
	port    uint16
	name    string // what must be recognised
	version string // how the version begins; "": it does not tell
	files   map[string]string
	setUp   string // shell lines; $D is the folder
	start   []string
	slow    bool // nmap takes minutes over it
}

// openUp lets daemons that drop root reach their folder.
const openUp = "chmod 755 $D $(dirname $D)"

// lightDaemons are small enough for every run: they must be there.
func lightDaemons() []daemon {
	return []daemon{
		{program: "sshd", pkg: "openssh-server", port: 22, name: "ssh", version: "9.",
			setUp: "mkdir -p /run/sshd; ssh-keygen -q -t ed25519 -N '' -f $D/key",
			start: []string{"/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null", "-o", "HostKey=$D/key", "-o", "ListenAddress=127.0.0.1", "-o", "LogLevel=QUIET"}},
		{program: "nginx", pkg: "nginx-light", port: 80, name: "http", version: "1.",
			files: map[string]string{"c": "daemon off; pid $D/pid; error_log $D/log; events {} http { access_log off; server { listen 127.0.0.1:80; root $D; } }"},
			start: []string{"nginx", "-c", "$D/c", "-e", "$D/log"}},
		{program: "apache2", pkg: "apache2-bin", port: 8080, name: "http", version: "2.4",
			files: map[string]string{"c": "ServerRoot $D\nPidFile $D/pid\nErrorLog $D/log\nListen 127.0.0.1:8080\nServerName x\n" +
				"LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so\nLoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so\nUser www-data\nGroup www-data\n"},
			start: []string{"apache2", "-X", "-f", "$D/c"}},
		{program: "lighttpd", pkg: "lighttpd", port: 81, name: "http", version: "1.4",
			files: map[string]string{"c": "server.document-root=\"$D\"\nserver.port=81\nserver.bind=\"127.0.0.1\"\n"},
			start: []string{"lighttpd", "-D", "-f", "$D/c"}},
		{program: "redis-server", pkg: "redis-server", port: 6379, name: "redis", version: "7.",
			start: []string{"redis-server", "--save", "", "--dir", "$D", "--logfile", "$D/log", "--bind", "127.0.0.1"}},
		{program: "memcached", pkg: "memcached", port: 11211, name: "memcache", version: "1.6",
			start: []string{"memcached", "-u", "root", "-l", "127.0.0.1"}},
		{program: "vsftpd", pkg: "vsftpd", port: 21, name: "ftp", version: "3.0",
			files: map[string]string{"c": "listen=YES\nlisten_address=127.0.0.1\nbackground=NO\nsecure_chroot_dir=$D/empty\nanonymous_enable=NO\nlocal_enable=YES\n"},
			setUp: "mkdir $D/empty", start: []string{"vsftpd", "$D/c"}},
		{program: "mosquitto", pkg: "mosquitto", port: 1883, name: "mqtt", version: "2.",
			start: []string{"mosquitto"}},
		{program: "dnsmasq", pkg: "dnsmasq-base", port: 53, name: "domain", version: "2.",
			start: []string{"dnsmasq", "-k", "-C", "/dev/null", "-R", "-h", "--listen-address=127.0.0.1", "--bind-interfaces", "-u", "root", "-x", ""}},
		{program: "rsync", pkg: "rsync", port: 873, name: "rsync", version: "3",
			files: map[string]string{"c": "pid file=$D/pid\nuse chroot=no\n"},
			start: []string{"rsync", "--daemon", "--no-detach", "--config=$D/c", "--address=127.0.0.1"}},
		{program: "exim4", pkg: "exim4-daemon-light", port: 25, name: "smtp", version: "4.9",
			files: map[string]string{"c": "spool_directory=$D/s\nlog_file_path=$D/s/%s\nprimary_hostname=mx.example.net\nlocal_interfaces=127.0.0.1\ndaemon_smtp_ports=25\n"},
			setUp: openUp + "; mkdir $D/s; chown Debian-exim $D/s",
			start: []string{"exim4", "-C", "$D/c", "-bdf", "-oP", "$D/pid"}},
		{program: "beanstalkd", pkg: "beanstalkd", port: 11300, name: "beanstalkd", version: "1.",
			start: []string{"beanstalkd", "-l", "127.0.0.1"}, slow: true},
		{program: "ngircd", pkg: "ngircd", port: 6667, name: "irc",
			files: map[string]string{"c": "[Global]\nName=irc.example.net\nInfo=x\nListen=127.0.0.1\nServerUID=irc\nServerGID=irc\n[Options]\nDNS=no\nIdent=no\nPAM=no\n"},
			setUp: openUp, start: []string{"ngircd", "-n", "-f", "$D/c"}},
		{program: "haproxy", pkg: "haproxy", port: 8000, name: "http",
			files: map[string]string{"c": "defaults\n mode http\n timeout connect 1s\n timeout client 5s\n timeout server 5s\nfrontend f\n bind 127.0.0.1:8000\n"},
			start: []string{"haproxy", "-db", "-f", "$D/c"}, slow: true},
	}
}

// heavyDaemons are asked where they are installed.
func heavyDaemons() []daemon {
	return []daemon{
		{program: "mariadbd", pkg: "mariadb-server", port: 3306, name: "mysql", version: "10.",
			setUp: "mariadb-install-db --no-defaults --user=root --datadir=$D/db --skip-test-db >/dev/null 2>&1",
			start: []string{"mariadbd", "--no-defaults", "--user=root", "--datadir=$D/db", "--socket=$D/s", "--bind-address=127.0.0.1", "--log-error=$D/log"}},
		{program: "/usr/lib/postgresql/15/bin/postgres", pkg: "postgresql", port: 5432, name: "postgresql", version: "14 - 17",
			setUp: openUp + "; mkdir $D/db; chown postgres $D/db; setpriv --reuid postgres --regid postgres --clear-groups /usr/lib/postgresql/15/bin/initdb -D $D/db >/dev/null",
			start: []string{"setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups", "/usr/lib/postgresql/15/bin/postgres", "-D", "$D/db", "-k", "$D/db", "-h", "127.0.0.1"}},
		{program: "dovecot", pkg: "dovecot-imapd dovecot-pop3d", port: 143, name: "imap",
			files: map[string]string{"c": "protocols = imap pop3\nlisten = 127.0.0.1\nbase_dir = $D/run\nssl = no\nlog_path = $D/log\nstate_dir = $D\npassdb {\n driver = static\n}\nuserdb {\n driver = static\n}\n"},
			setUp: openUp + "; mkdir $D/run", start: []string{"dovecot", "-F", "-c", "$D/c"}},
		{program: "named", pkg: "bind9", port: 5353, name: "domain", version: "9.",
			files: map[string]string{"c": "options { directory \"$D\"; listen-on port 5353 { 127.0.0.1; }; listen-on-v6 { none; }; pid-file none; recursion no; }; controls {};"},
			start: []string{"named", "-f", "-c", "$D/c", "-u", "root"}},
		{program: "slapd", pkg: "slapd", port: 389, name: "ldap",
			files: map[string]string{"c": "include /etc/ldap/schema/core.schema\npidfile $D/pid\n"},
			start: []string{"slapd", "-d", "0", "-f", "$D/c", "-h", "ldap://127.0.0.1:389/"}},
		{program: "smbd", pkg: "samba", port: 445, name: "microsoft-ds",
			files: map[string]string{"c": "[global]\nprivate dir=$D\nlock directory=$D\nstate directory=$D\ncache directory=$D\npid directory=$D\nncalrpc dir=$D\nlog file=$D/log\nlog level=0\nsmb ports=445\nbind interfaces only=yes\ninterfaces=lo\nworkgroup=X\nnetbios name=FILES\nload printers=no\nprinting=bsd\n"},
			start: []string{"smbd", "-F", "--no-process-group", "-s", "$D/c"}},
		{program: "squid", pkg: "squid", port: 3128, name: "http", version: "5.",
			files: map[string]string{"c": "http_port 127.0.0.1:3128\npid_filename $D/pid\naccess_log none\ncache_log $D/log\ncache deny all\ncoredump_dir $D\nnetdb_filename none\n"},
			setUp: openUp + "; chmod 777 $D", start: []string{"squid", "-N", "-f", "$D/c"}},
		{program: "etcd", pkg: "etcd-server", port: 2379, name: "http", version: "3.",
			start: []string{"etcd", "--data-dir", "$D/e", "--log-level", "panic"}},
		{program: "prometheus-node-exporter", pkg: "prometheus-node-exporter", port: 9098, name: "http", version: "1.",
			start: []string{"prometheus-node-exporter", "--web.listen-address=127.0.0.1:9098", "--log.level=error"}},
		{program: "nats-server", pkg: "nats-server", port: 4222, name: "nats", version: "2.",
			start: []string{"nats-server", "-a", "127.0.0.1", "-l", "$D/log"}},
		{program: "cupsd", pkg: "cups-daemon", port: 631, name: "ipp", version: "2.",
			files: map[string]string{"c": "Listen 127.0.0.1:631\nLogLevel none\n<Location />\nOrder allow,deny\nAllow all\n</Location>\n",
				"f": "ServerRoot $D\nRequestRoot $D/r\nTempDir $D\nStateDir $D\nCacheDir $D\nAccessLog $D/a\nErrorLog $D/l\nPageLog $D/p\n"},
			setUp: openUp, start: []string{"cupsd", "-f", "-c", "$D/c", "-s", "$D/f"}},
	}
}

// needDaemon fails or skips where a light daemon is not installed. Each is
// named, so that the list of packages can be checked against it.
func needDaemon(t *testing.T, d *daemon) {
	t.Helper()
	switch d.program {
	case "sshd":
		nettest.Need(t, "sshd")
	case "nginx":
		nettest.Need(t, "nginx")
	case "apache2":
		nettest.Need(t, "apache2")
	case "lighttpd":
		nettest.Need(t, "lighttpd")
	case "redis-server":
		nettest.Need(t, "redis-server")
	case "memcached":
		nettest.Need(t, "memcached")
	case "vsftpd":
		nettest.Need(t, "vsftpd")
	case "mosquitto":
		nettest.Need(t, "mosquitto")
	case "dnsmasq":
		nettest.Need(t, "dnsmasq")
	case "rsync":
		nettest.Need(t, "rsync")
	case "exim4":
		nettest.Need(t, "exim4")
	case "beanstalkd":
		nettest.Need(t, "beanstalkd")
	case "ngircd":
		nettest.Need(t, "ngircd")
	case "haproxy":
		nettest.Need(t, "haproxy")
	}
}

// present reports whether an optional daemon can be run here.
func (d *daemon) present() bool {
	_, err := exec.LookPath(d.program)
	return err == nil
}

// run starts the daemon in ns; it ends with the test.
func (d *daemon) run(t *testing.T, ns *nettest.NS) {
	t.Helper()
	dir := t.TempDir()
	here := func(s string) string { return strings.ReplaceAll(s, "$D", dir) }
	for name, text := range d.files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(here(text)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if d.setUp != "" {
		ns.Script("umask 022\n" + here(d.setUp))
	}
	var args []string
	for _, a := range d.start {
		args = append(args, here(a))
	}
	cmd := ns.Command(args[0], args[1:]...)
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", d.program, err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		endForked(ns)
	})
}

// endForked ends what daemons have left in the namespace. This process may be
// listed too: a thread of it that was there.
func endForked(ns *nettest.NS) {
	out, err := exec.Command("ip", "netns", "pids", ns.Name).Output()
	if err != nil {
		return
	}
	for word := range strings.FieldsSeq(string(out)) {
		if pid, err := strconv.Atoi(word); err == nil && pid != os.Getpid() {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

func (d *daemon) String() string {
	return filepath.Base(d.program) + " at " + strconv.Itoa(int(d.port))
}
