package audit

import (
	"testing"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/scan/identify"
)

// homePorts are protocols, as recognition names them, on the ports where they
// are at home.
var homePorts = map[string][]uint16{
	"ssh": {22}, "ftp": {21}, "telnet": {23}, "smtp": {25, 587}, "domain": {53}, "finger": {79}, "http": {80, 8080, 8000, 2375, 2379, 5984, 8086, 8500, 9090, 9200, 15672, 5000, 3000},
	"kerberos": {88}, "pop3": {110}, "sunrpc": {111}, "auth": {113}, "nntp": {119}, "netbios-ssn": {139}, "imap": {143}, "ldap": {389},
	"microsoft-ds": {445}, "modbus": {502}, "iso-tsap": {102}, "printer": {515}, "afp": {548}, "rtsp": {554}, "ipp": {631}, "rsync": {873},
	"socks": {1080}, "openvpn": {1194}, "ms-sql-s": {1433}, "oracle": {1521}, "pptp": {1723}, "mqtt": {1883}, "nfs": {2049}, "zookeeper": {2181},
	"iscsi-target": {3260}, "mysql": {3306}, "ms-wbt-server": {3389}, "nut": {3493}, "svn": {3690}, "epmd": {4369}, "sip": {5060}, "xmpp": {5222},
	"postgresql": {5432}, "adb": {5555}, "nrpe": {5666}, "amqp": {5672}, "rfb": {5900}, "x11": {6000}, "redis": {6379}, "irc": {6667},
	"ajp13": {8009}, "cassandra": {9042}, "kafka": {9092}, "git": {9418}, "zabbix": {10050}, "memcache": {11211}, "mongodb": {27017}, "echo": {7},
	"nats": {4222}, "stomp": {61613}, "java-rmi": {1099}, "time": {37}, "gopher": {70},
}

// No protocol is called a mismatch on its own port, whatever the registry and
// the knowledge base call it.
func TestOwnPortIsNoMismatch(t *testing.T) {
	known := map[string]bool{}
	for _, name := range identify.Names() {
		known[name] = true
	}
	for name, ports := range homePorts {
		if !known[name] {
			t.Errorf("recognition knows no %q", name)
		}
		for _, port := range ports {
			in := greeted(hostWith(listener(port, "daemon")), port, exposure.Service{Name: name, Via: "probe"})
			for _, f := range Judge(in).Findings {
				if f.Rule == "service-mismatch" {
					t.Errorf("%s on %d: %s, %v", name, port, f.Title, f.Because)
				}
			}
		}
	}
}

// And on another's port it is one.
func TestForeignPortIsAMismatch(t *testing.T) {
	for name, port := range map[string]uint16{"ssh": 443, "memcache": 80, "domain": 22, "ms-wbt-server": 25, "rfb": 3306, "sunrpc": 6379} {
		in := greeted(hostWith(listener(port, "daemon")), port, exposure.Service{Name: name, Via: "probe"})
		found := false
		for _, f := range Judge(in).Findings {
			found = found || f.Rule == "service-mismatch"
		}
		if !found {
			t.Errorf("%s on %d is no mismatch", name, port)
		}
	}
}
