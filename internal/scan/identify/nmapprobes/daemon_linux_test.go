package nmapprobes

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/nettest"
)

// nmapService is the service element of nmap's XML.
type nmapService struct {
	Name    string   `xml:"name,attr"`
	Product string   `xml:"product,attr"`
	Version string   `xml:"version,attr"`
	Info    string   `xml:"extrainfo,attr"`
	Host    string   `xml:"hostname,attr"`
	OS      string   `xml:"ostype,attr"`
	Device  string   `xml:"devicetype,attr"`
	CPE     []string `xml:"cpe"`
}

// byNmap is what nmap -sV says of ports of the namespace's loopback.
func byNmap(t *testing.T, ns *nettest.NS, ports []string) map[string]nmapService {
	t.Helper()
	out := ns.Run("nmap", "-sV", "-n", "-Pn", "-T5", "--version-intensity", "0", "-p", strings.Join(ports, ","), "-oX", "-", "127.0.0.1")
	var run struct {
		Ports []struct {
			ID      string      `xml:"portid,attr"`
			Service nmapService `xml:"service"`
		} `xml:"host>ports>port"`
	}
	if err := xml.Unmarshal([]byte(out), &run); err != nil {
		t.Fatal(err, out)
	}
	found := map[string]nmapService{}
	for _, p := range run.Ports {
		found[p.ID] = p.Service
	}
	return found
}

// asNmap is a result in the words of nmap's XML.
func asNmap(r Result) nmapService {
	return nmapService{Name: r.Name, Product: r.Product, Version: r.Version, Info: r.Info, Host: r.Host, OS: r.OS, Device: r.Device, CPE: slices.Compact(r.CPE)}
}

// compare fails where nmap knows the product and we say otherwise.
func compare(t *testing.T, what string, ours Result, theirs nmapService) {
	t.Helper()
	if theirs.Product == "" && theirs.Version == "" {
		if ours.Product != "" {
			t.Errorf("%s: we say %+v, nmap nothing", what, ours)
		}
		return
	}
	// nmap keeps the last name of each kind (application, system, hardware).
	ours.CPE = slices.DeleteFunc(ours.CPE, func(name string) bool { return !slices.Contains(theirs.CPE, name) })
	slices.Sort(ours.CPE)
	slices.Sort(theirs.CPE)
	theirs.Host = strings.TrimSpace(theirs.Host)
	if got, want := fmt.Sprintf("%q", asNmap(ours)), fmt.Sprintf("%q", theirs); got != want {
		t.Errorf("%s:\nours %s\nnmap %s", what, got, want)
	}
}

// answerOf connects to a port of the namespace, sends payload and reads what
// comes until the server pauses.
func answerOf(t *testing.T, ns *nettest.NS, port, payload string) []byte {
	t.Helper()
	var c net.Conn
	var err error
	for range 100 {
		ns.Do(func() { c, err = net.Dial("tcp", "127.0.0.1:"+port) })
		if err == nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, err := io.WriteString(c, payload); err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(700 * time.Millisecond))
	var all bytes.Buffer
	_, _ = io.Copy(&all, c)
	return all.Bytes()
}

// Real daemons: for what they answer, the file says through us what it says
// through nmap.
func TestDaemonsAsNmap(t *testing.T) {
	db := installed(t)
	for _, program := range []string{"sshd", "nginx", "redis-server", "unshare"} {
		nettest.Need(t, program)
	}
	ns, dir := nettest.New(t), t.TempDir()
	key, sshConf, nginxConf := filepath.Join(dir, "key"), filepath.Join(dir, "sshd"), filepath.Join(dir, "nginx")
	nettest.Run(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
	writeFile(t, sshConf, "Port 22\nListenAddress 127.0.0.1\nHostKey "+key+"\nPidFile none\nUsePAM no\n")
	writeFile(t, nginxConf, "daemon off;\nmaster_process off;\npid "+dir+"/nginx.pid;\nerror_log stderr;\nevents {}\nhttp { access_log off; server { listen 127.0.0.1:80; } }\n")
	// sshd wants /run/sshd: it gets a /run of its own.
	ns.Start("unshare", "-m", "sh", "-c", "mount -t tmpfs none /run && mkdir -m 755 /run/sshd && exec /usr/sbin/sshd -D -e -f "+sshConf)
	ns.Start("nginx", "-c", nginxConf)
	ns.Start("redis-server", "--port", "6379", "--bind", "127.0.0.1", "--save", "", "--dir", dir)
	asked := map[string]string{"22": "NULL", "80": "GetRequest", "6379": "redis-server"}
	answers := map[string][]byte{}
	for port, probe := range asked {
		answers[port] = answerOf(t, ns, port, db.Probe("tcp", probe).Payload)
	}
	theirs := byNmap(t, ns, []string{"22", "80", "6379"})
	for port, probe := range asked {
		ours, ok := db.Match(t.Context(), "tcp", probe, answers[port])
		t.Logf("port %s: %+v", port, ours)
		if !ok || theirs[port].Product == "" {
			t.Errorf("port %s: %q is %+v; nmap: %+v", port, answers[port], ours, theirs[port])
		}
		compare(t, "port "+port, ours, theirs[port])
	}
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Greetings of many servers, replayed to nmap and to us: those that nmap names
// without asking for more, which takes it long.
func TestGreetingsAsNmap(t *testing.T) {
	db := installed(t)
	ns := nettest.New(t)
	greetings := []string{
		"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n", "SSH-2.0-OpenSSH_8.9p1 Ubuntu-3ubuntu0.10\r\n", "SSH-2.0-dropbear_2022.83\r\n", "SSH-1.99-Cisco-1.25\n", "SSH-2.0-libssh_0.9.6\r\n",
		"220 (vsFTPd 3.0.5)\r\n", "220 ProFTPD 1.3.5 Server (ftp) [10.0.0.1]\r\n", "220 Microsoft FTP Service\r\n",
		"220 mail.example.net ESMTP Postfix (Debian/GNU)\r\n", "220 mx.example.net ESMTP Exim 4.96 Mon, 01 Jan 2024 00:00:00 +0000\r\n",
		"220 a.example ESMTP Sendmail 8.17.1/8.17.1; Mon, 1 Jan 2024 00:00:00 GMT\r\n", "220 x Microsoft ESMTP MAIL Service ready at Mon, 1 Jan 2024 00:00:00 +0000\r\n",
		"+OK Qpopper (version 4.0.5) at pop.example.net starting.  <123.456@pop.example.net>\r\n",
		"200 news.example.net InterNetNews NNRP server INN 2.6.4 ready (posting ok)\r\n",
		"Z\x00\x00\x00\x0a5.5.5-10.11.6-MariaDB-0+deb12u1\x00\x1f\x00\x00\x00abcdefgh\x00\xfe\xf7\x2d\x02\x00\xff\x81\x15\x00\x00\x00\x00\x00\x00\x1d\x00\x00\x00abcdefghijkl\x00mysql_native_password\x00",
		"RFB 003.008\n",
	}
	var ports []string
	for _, greeting := range greetings {
		l := ns.Listen("tcp", "127.0.0.1:0")
		go replay(l, greeting)
		_, port, _ := net.SplitHostPort(l.Addr().String())
		ports = append(ports, port)
	}
	theirs := byNmap(t, ns, ports)
	named := 0
	for i, greeting := range greetings {
		ours, _ := db.Match(t.Context(), "tcp", "NULL", []byte(greeting))
		compare(t, fmt.Sprintf("%.60q", greeting), ours, theirs[ports[i]])
		if theirs[ports[i]].Product != "" {
			named++
		}
	}
	if named < 11 {
		t.Errorf("nmap itself named only %d of %d", named, len(greetings))
	}
}

// replay greets everybody and hears them out.
func replay(l net.Listener, greeting string) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			_, _ = io.WriteString(c, greeting)
			_, _ = io.Copy(io.Discard, c)
			_ = c.Close()
		}()
	}
}
