package flow_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/portreeve/portreeve/internal/traffic/flow"
	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// ipfixRows sums what ipfixprobe's own tests expect of a capture: packets (its
// bytes are of IP) by ends.
func ipfixRows(t *testing.T, path string) map[ends]sums {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	column := map[string]int{}
	rows := map[ends]sums{}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	for i, name := range strings.Split(lines[len(lines)-1], ",") {
		column[name[strings.LastIndex(name, " ")+1:]] = i
	}
	for _, line := range lines[:len(lines)-1] {
		f := strings.Split(line, ",")
		get := func(name string) string { return f[column[name]] }
		proto := get("PROTOCOL")
		src, dst := get("SRC_IP")+" "+get("SRC_PORT"), get("DST_IP")+" "+get("DST_PORT")
		if proto == "1" || proto == "58" {
			src, dst = get("SRC_IP")+" 0", get("DST_IP")+" 0"
		}
		ends{proto, src, dst}.add(rows, sums{number(t, get("PACKETS")), 0, number(t, get("PACKETS_REV")), 0})
	}
	return rows
}

// TestIPFIXProbe: as many packets each way as ipfixprobe tells, which takes
// the outermost packet of a tunnel.
func TestIPFIXProbe(t *testing.T) {
	const folder = captures + "ipfixprobe/tests/functional/"
	for output, input := range map[string]string{
		"basic": "mixed", "dns": "dns", "dnssd": "dnssd", "http": "http", "mqtt": "mqtt",
		"ntp": "ntp", "ovpn": "ovpn", "rtsp": "rtsp", "sip": "sip", "smtp": "smtp", "ssdp": "ssdp", "tls": "tls",
		"vlan": "vlan", "wg": "wg",
	} {
		t.Run(output, func(t *testing.T) {
			got := map[ends]sums{}
			table := feed(t, folder+"inputs/"+input+".pcap", wire.Decoder{Outer: true}, flow.Options{})
			for _, f := range flows(table) {
				e := arkimeEnds(&f)
				e.proto = fmt.Sprint(f.Proto)
				e.add(got, sums{f.PacketsToServer, 0, f.PacketsToClient, 0})
			}
			for e, want := range ipfixRows(t, folder+"outputs/"+output) {
				if got[e] != want {
					t.Errorf("%v: %v, want %v", e, got[e], want)
				}
			}
		})
	}
}
