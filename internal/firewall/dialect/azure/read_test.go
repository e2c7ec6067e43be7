package azure

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

func packet(proto uint8, src, dst string, port uint16) ruleset.Packet {
	p := ruleset.Packet{Proto: proto, Src: netip.MustParseAddr(src), Dst: netip.MustParseAddr(dst)}
	if proto == 6 || proto == 17 {
		p.SrcPort, p.DstPort = new(uint16(40000)), &port
	}
	return p
}

func ask(t *testing.T, set *ruleset.RuleSet, chain string, p ruleset.Packet) ruleset.Decision {
	t.Helper()
	d, err := set.Query(p, chain)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Batfish's network: a VM with a group of its own, and one whose subnet has a
// group too. What is expected is worked out by hand from the rules.
func TestNetwork(t *testing.T) {
	names, err := filepath.Glob("../../../../../shared/fixtures/rulesets/batfish/networks/cloud-azure/azure_configs/*.json")
	if err != nil || len(names) == 0 {
		t.Fatal(err, names)
	}
	var all strings.Builder
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
		all.WriteByte('\n')
	}
	set, problems, err := Read(strings.NewReader(all.String()), Options{})
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	set.Prepare()
	for _, c := range []struct {
		in, out string
		p       ruleset.Packet
		want    string
	}{
		{"vm1346", "", packet(6, "203.0.113.9", "10.0.0.4", 22), "permit"},
		{"vm1346", "", packet(6, "203.0.113.9", "10.0.0.4", 23), "deny"},
		{"vm1346", "", packet(17, "203.0.113.9", "10.0.0.4", 9999), "permit"},
		{"vm1346", "", packet(1, "10.0.1.4", "10.0.0.4", 0), "deny"}, // rule 320 stands before the default for the network
		{"", "vm1346", packet(6, "10.0.0.4", "203.0.113.9", 25), "permit"},
		{"", "vm1346", packet(6, "10.0.0.4", "10.0.1.4", 25), "permit"},
		// The subnet lets 10.0.0.0/24 in to four ports, the interface all of the network.
		{"vm235", "", packet(6, "10.0.0.4", "10.0.1.4", 80), "permit"},
		{"vm235", "", packet(6, "10.0.0.4", "10.0.1.4", 81), "deny"},
		{"vm235", "", packet(6, "10.0.1.9", "10.0.1.4", 80), "deny"},
		{"vm235", "", packet(6, "203.0.113.9", "10.0.1.4", 80), "deny"},
		{"", "vm235", packet(6, "10.0.1.4", "10.0.0.4", 8080), "permit"},
		{"", "vm235", packet(6, "10.0.1.4", "203.0.113.9", 8080), "deny"},
		{"", "vm235", packet(17, "10.0.1.4", "203.0.113.9", 53), "permit"},
	} {
		c.p.In, c.p.Out = c.in, c.out
		if d := ask(t, set, "", c.p); d.Verdict != c.want {
			t.Errorf("in %q out %q %v -> %v: %+v, want %s", c.in, c.out, c.p.Src, c.p.Dst, d, c.want)
		}
	}
	p := packet(6, "203.0.113.9", "10.0.0.4", 22)
	if d := ask(t, set, "VM1-nsg inbound", p); d.Line == 0 || !strings.Contains(d.Rule, "300 SSH") {
		t.Errorf("%+v", d)
	}
	p.State = "established"
	p.Dst = netip.MustParseAddr("10.0.0.5")
	*p.DstPort = 1
	if d := ask(t, set, "VM1-nsg inbound", p); d.Verdict != "permit" {
		t.Errorf("%+v", d)
	}
}

const own = `{"name":"n","type":"Microsoft.Network/networkSecurityGroups","properties":{"securityRules":[
 {"name":"low","properties":{"priority":200,"direction":"Inbound","access":"Allow","protocol":"*","sourceAddressPrefix":"*","sourcePortRange":"*","destinationAddressPrefix":"*","destinationPortRanges":["80","443-444"]}},
 {"name":"high","properties":{"priority":100,"direction":"Inbound","access":"Deny","protocol":"Tcp","sourceAddressPrefixes":["192.0.2.0/24","198.51.100.7"],"sourcePortRange":"*","destinationAddressPrefix":"*","destinationPortRange":"80"}},
 {"name":"tag","properties":{"priority":300,"direction":"Inbound","access":"Allow","protocol":"Tcp","sourceAddressPrefix":"Storage.WestEurope","sourcePortRange":"*","destinationAddressPrefix":"*","destinationPortRange":"5000"}},
 {"name":"asg","properties":{"priority":310,"direction":"Inbound","access":"Allow","protocol":"Tcp","sourceApplicationSecurityGroups":[{"id":"/x/asg-1"}],"sourcePortRange":"*","destinationAddressPrefix":"*","destinationPortRange":"5001"}}
]}}`

// Priorities decide, not the order; without default rules in the file they are
// there all the same.
func TestPriorities(t *testing.T) {
	for name, text := range map[string]string{"resource": own, "list": "[" + own + "]", "value": `{"value":[` + own + `]}`, "template": `{"$schema":"x","resources":[` + own + `]}`,
		"flat": strings.NewReplacer(`"properties":{"securityRules"`, `"securityRules"`, `"properties":{"priority"`, `"priority"`, `}}`, `}`).Replace(own)} {
		set, problems, err := Read(strings.NewReader(text), Options{})
		if err != nil || len(problems) > 0 {
			t.Fatal(name, err, problems)
		}
		set.Prepare()
		for _, c := range []struct {
			p    ruleset.Packet
			want string
		}{
			{packet(6, "192.0.2.1", "10.0.0.1", 80), "deny"},
			{packet(17, "192.0.2.1", "10.0.0.1", 80), "permit"},
			{packet(6, "192.0.2.1", "10.0.0.1", 444), "permit"},
			{packet(6, "203.0.113.1", "10.0.0.1", 80), "permit"},
			{packet(6, "203.0.113.1", "10.0.0.1", 5000), "unknown"},
			{packet(6, "203.0.113.1", "10.0.0.1", 5001), "unknown"},
			{packet(6, "203.0.113.1", "10.0.0.1", 81), "deny"},
			{packet(6, "10.0.9.1", "10.0.0.1", 81), "unknown"}, // which addresses the virtual network has
			{packet(6, "168.63.129.16", "10.0.0.1", 81), "permit"},
		} {
			if d := ask(t, set, "n inbound", c.p); d.Verdict != c.want {
				t.Errorf("%s: %v %d: %+v, want %s", name, c.p.Src, *c.p.DstPort, d, c.want)
			}
		}
	}
}

// A network with a gateway has addresses that the file does not show.
func TestGatewayLeavesNetworkOpen(t *testing.T) {
	text := strings.Replace(own, `"name":"n"`, `"id":"/s/n","name":"n"`, 1) + `{"id":"/s/v","name":"v","type":"Microsoft.Network/virtualNetworks","properties":{"addressSpace":{"addressPrefixes":["10.0.0.0/16"]},
	 "subnets":[{"id":"/s/v/a","name":"a","properties":{"networkSecurityGroup":{"id":"/s/n"}}}%s]}}`
	for gateway, want := range map[string]string{"": "deny", `,{"id":"/s/v/g","name":"GatewaySubnet"}`: "unknown"} {
		set, _, err := Read(strings.NewReader(strings.Replace(text, "%s", gateway, 1)), Options{})
		if err != nil {
			t.Fatal(err)
		}
		set.Prepare()
		if d := ask(t, set, "n inbound", packet(6, "10.9.0.1", "10.0.0.1", 81)); d.Verdict != want {
			t.Errorf("%+v, want %s", d, want)
		}
		if d := ask(t, set, "n inbound", packet(6, "10.0.9.1", "10.0.0.1", 81)); d.Verdict != "permit" {
			t.Errorf("%+v", d)
		}
	}
}

func TestEffectiveRules(t *testing.T) {
	set, problems, err := Read(strings.NewReader(`{"value":[{"networkSecurityGroup":{"id":"/x/nsg-a"},"effectiveSecurityRules":[
	 {"name":"d","priority":65000,"direction":"Inbound","access":"Allow","protocol":"All","sourceAddressPrefix":"VirtualNetwork","expandedSourceAddressPrefix":["10.1.0.0/16"],"sourcePortRange":"0-65535","destinationAddressPrefix":"*","destinationPortRange":"0-65535"}]}]}`), Options{})
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	set.Prepare()
	for src, want := range map[string]string{"10.1.2.3": "permit", "10.2.2.3": "deny"} {
		if d := ask(t, set, "nsg-a inbound", packet(1, src, "10.1.0.1", 0)); d.Verdict != want {
			t.Errorf("%s: %+v", src, d)
		}
	}
}

func TestDamage(t *testing.T) {
	if _, _, err := Read(strings.NewReader(`{"a":1}`), Options{}); !errors.Is(err, ErrFormat) {
		t.Error(err)
	}
	set, problems, err := Read(strings.NewReader(`[{"name":"n","securityRules":[
	 {"name":"x","priority":100,"direction":"Inbound","access":"Allow","protocol":"Tcp","sourceAddressPrefix":"no such","sourcePortRange":"*","destinationAddressPrefix":"*","destinationPortRange":"9x"},
	 {"name":"y","direction":"Sideways","access":"Perhaps"}]}]`), Options{})
	if err != nil || len(problems) < 3 || problems[0].Line == 0 {
		t.Fatal(err, problems)
	}
	set.Prepare()
	if d := ask(t, set, "n inbound", packet(6, "192.0.2.1", "10.0.0.1", 9)); d.Verdict != "unknown" {
		t.Errorf("%+v", d)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(own))
	f.Add([]byte(`{"resources":[{"type":"Microsoft.Network/networkSecurityGroups/securityRules","name":"a/b","properties":{"access":"Allow","priority":"x","protocol":"Icmp","destinationPortRange":"1-2"}}],"properties":{"template":{}}}`))
	f.Add([]byte(`{"addressSpace":{"addressPrefixes":["x"]},"subnets":[{"id":"a","networkSecurityGroup":{"id":"b"}}]}{"id":"b","securityRules":[]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if set, _, _ := Read(strings.NewReader(string(data)), Options{}); set != nil {
			set.Prepare()
		}
	})
}
