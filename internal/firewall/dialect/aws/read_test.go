package aws

import (
	"encoding/json"
	"errors"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/portreeve/portreeve/internal/firewall/dialect/permits/permitstest"
	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

const batfish = "../../../../../shared/fixtures/rulesets/batfish/networks/hybrid-cloud-aws/aws_configs/us-west-2/"

func fixture(t *testing.T, names ...string) io.Reader {
	t.Helper()
	var all []io.Reader
	for _, name := range names {
		b, err := os.ReadFile(filepath.Join(batfish, name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, strings.NewReader(string(b)+"\n"))
	}
	return io.MultiReader(all...)
}

func ask(t testing.TB, set *ruleset.RuleSet, chain string, p ruleset.Packet) ruleset.Decision {
	t.Helper()
	d, err := set.Query(p, chain)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func tcp(src, dst string, port uint16) ruleset.Packet {
	return ruleset.Packet{Proto: 6, Src: netip.MustParseAddr(src), Dst: netip.MustParseAddr(dst), SrcPort: new(uint16(40000)), DstPort: &port}
}

func read(t testing.TB, text string) *ruleset.RuleSet {
	t.Helper()
	set, problems, err := Read(strings.NewReader(text), Options{})
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	set.Prepare()
	return set
}

// naive evaluates the API's JSON by its documentation, one rule at a time.
type naive struct {
	SecurityGroups []struct {
		GroupId                            string
		IpPermissions, IpPermissionsEgress []naivePermission
	}
	NetworkInterfaces []struct {
		Groups             []struct{ GroupId string }
		PrivateIpAddresses []struct{ PrivateIpAddress netip.Addr }
	}
}

type naivePermission struct {
	IpProtocol       string
	FromPort, ToPort *int
	IpRanges         []struct{ CidrIp netip.Prefix }
	Ipv6Ranges       []struct{ CidrIpv6 netip.Prefix }
	UserIdGroupPairs []struct{ GroupId string }
}

func (n *naive) permits(list []naivePermission, peer netip.Addr, p ruleset.Packet) bool {
	return slices.ContainsFunc(list, func(r naivePermission) bool { return r.service(p) && n.peer(r, peer) })
}

func (r naivePermission) service(p ruleset.Packet) bool {
	numbers := map[string]uint8{"tcp": 6, "udp": 17, "icmp": 1, "icmpv6": 58}
	switch {
	case r.IpProtocol == "-1":
		return true
	case numbers[r.IpProtocol] != p.Proto:
		return false
	case p.DstPort != nil:
		return int(*p.DstPort) >= *r.FromPort && int(*p.DstPort) <= *r.ToPort
	case p.ICMPType != nil:
		return (*r.FromPort == -1 || *r.FromPort == int(*p.ICMPType)) && (*r.ToPort == -1 || *r.ToPort == int(*p.ICMPCode))
	}
	return true
}

func (n *naive) peer(r naivePermission, a netip.Addr) bool {
	for _, x := range r.IpRanges {
		if x.CidrIp.Contains(a) {
			return true
		}
	}
	for _, x := range r.Ipv6Ranges {
		if x.CidrIpv6.Contains(a) {
			return true
		}
	}
	for _, g := range r.UserIdGroupPairs {
		for _, c := range n.NetworkInterfaces {
			for _, has := range c.Groups {
				for _, ip := range c.PrivateIpAddresses {
					if has.GroupId == g.GroupId && ip.PrivateIpAddress == a {
						return true
					}
				}
			}
		}
	}
	return false
}

// Batfish's network: every group says of random packets what a second reading
// of the same JSON says.
func TestGroupsOfANetwork(t *testing.T) {
	var n naive
	dec := json.NewDecoder(fixture(t, "SecurityGroups", "NetworkInterfaces"))
	for range 2 {
		if err := dec.Decode(&n); err != nil {
			t.Fatal(err)
		}
	}
	set, problems, err := Read(fixture(t, "SecurityGroups", "NetworkAcls", "NetworkInterfaces", "PrefixLists", "Vpcs"), Options{})
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	set.Prepare()
	var addrs []netip.Addr
	for _, c := range n.NetworkInterfaces {
		for _, a := range c.PrivateIpAddresses {
			addrs = append(addrs, a.PrivateIpAddress)
		}
	}
	for _, s := range []string{"38.140.26.4", "38.140.26.77", "107.170.243.58", "10.193.9.9", "8.8.8.8", "2001:db8::1", "71.231.80.18"} {
		addrs = append(addrs, netip.MustParseAddr(s))
	}
	permitted := 0
	rapid.Check(t, func(t *rapid.T) {
		p := permitstest.Query(permitstest.Packet(t))
		p.Src, p.Dst = rapid.SampledFrom(addrs).Draw(t, "source"), rapid.SampledFrom(addrs).Draw(t, "destination")
		if p.Src.Is4() != p.Dst.Is4() || (p.Proto == 58) == p.Src.Is4() && p.ICMPType != nil {
			t.Skip("no such packet")
		}
		if p.DstPort != nil {
			p.DstPort = new(rapid.SampledFrom([]uint16{22, 80, 443, 3306, 8080}).Draw(t, "port"))
		}
		for _, g := range n.SecurityGroups {
			for name, want := range map[string]bool{g.GroupId + " ingress": n.permits(g.IpPermissions, p.Src, p), g.GroupId + " egress": n.permits(g.IpPermissionsEgress, p.Dst, p)} {
				d, err := set.Query(p, name)
				if d.Verdict == ruleset.UnknownPacket && strings.Contains(d.Why, "sg-cf3f86b3") && !want {
					continue // nothing in the folder has this group, nor says that it exists
				}
				if err != nil || d.Verdict == ruleset.UnknownPacket || (d.Verdict == ruleset.PermitPacket) != want {
					t.Fatalf("%s: %+v %v, want %v", name, d, err, want)
				}
				if want {
					permitted++
				}
			}
		}
	})
	if permitted == 0 {
		t.Error("no packet was permitted")
	}
}

func TestInterfacesHaveTheirGroups(t *testing.T) {
	set, _, err := Read(fixture(t, "SecurityGroups", "NetworkAcls", "NetworkInterfaces"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	set.Prepare()
	p := tcp("8.8.8.8", "192.168.1.186", 22)
	p.In = "eni-707e5a5e"
	if d := ask(t, set, "", p); d.Verdict != ruleset.PermitPacket || d.Line != 36 {
		t.Errorf("%+v", d)
	}
	*p.DstPort = 23
	if d := ask(t, set, "", p); d.Verdict != ruleset.DenyPacket {
		t.Errorf("%+v", d)
	}
	p = tcp("162.243.144.192", "172.31.0.1", 3306)
	if d := ask(t, set, "acl-4db39c28 ingress", p); d.Verdict != ruleset.PermitPacket || d.Line != 616 {
		t.Errorf("%+v", d)
	}
	p.Src = netip.MustParseAddr("162.243.144.193")
	if d := ask(t, set, "acl-4db39c28 ingress", p); d.Verdict != ruleset.DenyPacket || d.Line != 627 {
		t.Errorf("%+v", d)
	}
}

// What the file does not tell makes a verdict unknown, and says why.
func TestUnknownPeers(t *testing.T) {
	set := read(t, `{"SecurityGroups":[{"GroupId":"sg-1","GroupName":"web","IpPermissionsEgress":[],"IpPermissions":[
	 {"IpProtocol":"tcp","FromPort":80,"ToPort":80,"UserIdGroupPairs":[{"GroupId":"sg-2"}]},
	 {"IpProtocol":"tcp","FromPort":81,"ToPort":81,"PrefixListIds":[{"PrefixListId":"pl-1"}]},
	 {"IpProtocol":"tcp","FromPort":82,"ToPort":82,"IpRanges":[{"CidrIp":"192.0.2.0/24"}]}]}]}`)
	for port, want := range map[uint16]string{80: "sg-2", 81: "pl-1"} {
		if d := ask(t, set, "sg-1 ingress", tcp("192.0.2.1", "192.0.2.9", port)); d.Verdict != ruleset.UnknownPacket || !strings.Contains(d.Why, want) {
			t.Errorf("port %d: %+v", port, d)
		}
	}
	if d := ask(t, set, "sg-1 (web) ingress", tcp("192.0.2.1", "192.0.2.9", 82)); d.Verdict != ruleset.PermitPacket || d.Line != 4 {
		t.Errorf("%+v", d)
	}
	if d := ask(t, set, "sg-1 ingress", tcp("192.0.2.1", "192.0.2.9", 83)); d.Verdict != ruleset.DenyPacket {
		t.Errorf("%+v", d)
	}
}

// The same group in the words of other tools.
func TestFormsOfOneGroup(t *testing.T) {
	for name, text := range map[string]string{
		"security group rules": `{"SecurityGroupRules":[
			{"SecurityGroupRuleId":"sgr-1","GroupId":"sg-1","IsEgress":false,"IpProtocol":"tcp","FromPort":443,"ToPort":443,"CidrIpv4":"192.0.2.0/24"},
			{"SecurityGroupRuleId":"sgr-2","GroupId":"sg-1","IsEgress":true,"IpProtocol":"-1","FromPort":-1,"ToPort":-1,"CidrIpv4":"0.0.0.0/0"}]}`,
		"terraform, blocks": `{"resource":{"aws_security_group":{"web":{"name":"web",
			"ingress":[{"from_port":443,"to_port":443,"protocol":"tcp","cidr_blocks":["192.0.2.0/24"]}],
			"egress":{"from_port":0,"to_port":0,"protocol":"-1","cidr_blocks":["0.0.0.0/0"]}}}}}`,
		"terraform, rules": `{"resource":[{"aws_security_group":[{"web":[{"name":"web"}]}],
			"aws_security_group_rule":{"in":{"type":"ingress","from_port":443,"to_port":443,"protocol":"tcp","cidr_blocks":["192.0.2.0/24"],"security_group_id":"${aws_security_group.web.id}"}},
			"aws_vpc_security_group_egress_rule":{"out":{"ip_protocol":"-1","cidr_ipv4":"0.0.0.0/0","security_group_id":"${aws_security_group.web.id}"}}}]}`,
		"terraform show": `{"format_version":"1.0","values":{"root_module":{"child_modules":[{"resources":[
			{"address":"module.a.aws_security_group.web","mode":"managed","type":"aws_security_group","name":"web","values":{"id":"sg-1","name":"web",
			"ingress":[{"from_port":443,"to_port":443,"protocol":"tcp","cidr_blocks":["192.0.2.0/24"],"ipv6_cidr_blocks":[],"prefix_list_ids":[],"security_groups":[],"self":false,"description":""}],
			"egress":[{"from_port":0,"to_port":0,"protocol":"-1","cidr_blocks":["0.0.0.0/0"]}]}}]}]}}}`,
		"cloudformation": `{"Resources":{"Web":{"Type":"AWS::EC2::SecurityGroup","Properties":{"GroupDescription":"x",
			"SecurityGroupIngress":[{"IpProtocol":"tcp","FromPort":"443","ToPort":443,"CidrIp":"192.0.2.0/24"}]}}}}`,
		"cloudformation, apart": `{"Resources":{"Web":{"Type":"AWS::EC2::SecurityGroup","Properties":{"GroupDescription":"x"}},
			"In":{"Type":"AWS::EC2::SecurityGroupIngress","Properties":{"GroupId":{"Fn::GetAtt":["Web","GroupId"]},"IpProtocol":"tcp","FromPort":443,"ToPort":443,"CidrIp":"192.0.2.0/24"}}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			set := read(t, text)
			if len(set.Chains) != 2 {
				t.Fatalf("%d chains", len(set.Chains))
			}
			for _, c := range []struct {
				chain int
				p     ruleset.Packet
				want  string
			}{
				{ingress, tcp("192.0.2.1", "198.51.100.1", 443), ruleset.PermitPacket},
				{ingress, tcp("192.0.2.1", "198.51.100.1", 444), ruleset.DenyPacket},
				{ingress, tcp("192.0.3.1", "198.51.100.1", 443), ruleset.DenyPacket},
				{egress, tcp("198.51.100.1", "203.0.113.1", 25), ruleset.PermitPacket},
			} {
				if d := ask(t, set, set.Chains[c.chain].Title, c.p); d.Verdict != c.want {
					t.Errorf("%+v: %+v", c.p, d)
				}
			}
		})
	}
}

// Expressions that are not literal, and rules of groups that are elsewhere.
func TestTerraformUnknowns(t *testing.T) {
	set, problems, err := Read(strings.NewReader(`{"resource":{"aws_security_group_rule":{
		"a":{"type":"ingress","from_port":22,"to_port":22,"protocol":"tcp","cidr_blocks":["${var.office}"],"security_group_id":"sg-9"},
		"b":{"type":"ingress","from_port":23,"to_port":23,"protocol":"tcp","cidr_blocks":["192.0.2.0/24"],"security_group_id":"${module.x.id}"}}}}`), Options{})
	if err != nil || len(problems) != 1 || problems[0].Line != 3 {
		t.Fatal(err, problems)
	}
	set.Prepare()
	for _, port := range []uint16{22, 23, 24} { // 24: other rules of the group may be anywhere
		if d := ask(t, set, "sg-9 ingress", tcp("192.0.2.1", "198.51.100.1", port)); d.Verdict != ruleset.UnknownPacket {
			t.Errorf("port %d: %+v", port, d)
		}
	}
}

func TestNotAWS(t *testing.T) {
	for _, text := range []string{"", "[]", "{}", "null", `{"SecurityGroups":[]}`, "hello"} {
		if set, _, err := Read(strings.NewReader(text), Options{}); err == nil || set != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, _, err := Read(strings.NewReader("{}"), Options{}); !errors.Is(err, ErrFormat) {
		t.Error(err)
	}
	// What was read before the damage is kept, and no verdict is certain.
	set, _, err := Read(strings.NewReader(`{"SecurityGroups":[{"GroupId":"sg-1","GroupName":"a","IpPermissions":[],"IpPermissionsEgress":[]}]} {"x": [1,}`), Options{})
	if err == nil || !strings.HasPrefix(err.Error(), "line 1, column 1") || len(set.Missing) != 1 {
		t.Error(err, set)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"SecurityGroups":[{"GroupId":"sg-1","IpPermissions":[{"IpProtocol":"icmp","FromPort":8,"ToPort":-1,"IpRanges":[{"CidrIp":"::/0"}],"UserIdGroupPairs":[{"GroupId":"sg-1"}]}]}]}`))
	f.Add([]byte(`{"NetworkAcls":[{"NetworkAclId":"acl-1","Entries":[{"RuleNumber":"*","Protocol":"6","PortRange":{"From":1,"To":2},"CidrBlock":"0.0.0.0/0"}]}]}`))
	f.Add([]byte(`{"resource":{"aws_network_acl":{"a":{"ingress":["x",{}],"dynamic":1}},"aws_security_group_rule":{"b":[{"type":"?"}]}},"Resources":{"A":{"Type":"AWS::EC2::NetworkAclEntry"}}}`))
	f.Add([]byte(`[{"NetworkInterfaceId":"eni-1","Groups":[{"GroupId":"sg-1"},{"GroupId":"sg-2"}],"PrivateIpAddress":"x"}] [[[`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if set, _, _ := Read(strings.NewReader(string(data)), Options{}); set != nil {
			set.Prepare()
		}
	})
}
