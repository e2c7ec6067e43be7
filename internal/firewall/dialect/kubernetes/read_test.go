package kubernetes

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"pgregory.net/rapid"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

func packet(proto uint8, src, dst string, port uint16) ruleset.Packet {
	return ruleset.Packet{Proto: proto, Src: netip.MustParseAddr(src), Dst: netip.MustParseAddr(dst), SrcPort: new(uint16(40000)), DstPort: &port}
}

func ask(t testing.TB, set *ruleset.RuleSet, chain string, p ruleset.Packet) ruleset.Decision {
	t.Helper()
	d, err := set.Query(p, chain)
	if err != nil {
		t.Fatal(err)
	}
	return d
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

// naive reads the objects by their types, and evaluates them by the API
// reference, for a pod that every empty selector selects.
type naive struct {
	Items []struct {
		Spec struct {
			PolicyTypes     []string `yaml:"policyTypes"`
			Ingress, Egress []struct {
				From, To []struct {
					IPBlock struct{ CIDR string } `yaml:"ipBlock"`
				}
				Ports []struct {
					Port, EndPort *int `yaml:",omitempty"`
					Protocol      string
				}
			}
		}
	}
}

func (n *naive) permits(way string, peer netip.Addr, p ruleset.Packet) bool {
	isolated := false
	for _, item := range n.Items {
		if !slices.Contains(item.Spec.PolicyTypes, way) {
			continue
		}
		isolated = true
		rules := item.Spec.Ingress
		if way == "Egress" {
			rules = item.Spec.Egress
		}
		for _, r := range rules {
			peers, from := append(r.From, r.To...), len(r.From)+len(r.To) == 0
			for _, b := range peers {
				from = from || netip.MustParsePrefix(b.IPBlock.CIDR).Contains(peer)
			}
			port := len(r.Ports) == 0
			for _, q := range r.Ports {
				same := map[string]uint8{"TCP": 6, "UDP": 17, "SCTP": 132}[q.Protocol] == p.Proto
				last := q.Port
				if q.EndPort != nil {
					last = q.EndPort
				}
				port = port || same && (q.Port == nil || int(*p.DstPort) >= *q.Port && int(*p.DstPort) <= *last)
			}
			if from && port {
				return true
			}
		}
	}
	return !isolated
}

func TestAerleon(t *testing.T) {
	names, err := filepath.Glob("../../../../../shared/fixtures/rulesets/aerleon/tests/regression/k8s/*.ref")
	if err != nil || len(names) < 10 {
		t.Fatal(err, len(names))
	}
	permitted, denied := 0, 0
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var n naive
		for part := range strings.SplitSeq(strings.ReplaceAll(string(b), "endPort", "endport"), "\n\n") { // one file has several lists
			var one naive
			if err := yaml.Unmarshal([]byte(part), &one); err != nil {
				t.Fatal(name, err)
			}
			n.Items = append(n.Items, one.Items...)
		}
		set := read(t, string(b))
		rapid.Check(t, func(t *rapid.T) {
			addrs := rapid.SampledFrom([]string{"10.2.3.4", "10.2.3.5"})
			if rapid.Bool().Draw(t, "IPv6") {
				addrs = rapid.SampledFrom([]string{"2001:4860:8000::5", "2001:4860:8000::6"})
			}
			p := packet(rapid.SampledFrom([]uint8{6, 17, 132}).Draw(t, "proto"), addrs.Draw(t, "src"), addrs.Draw(t, "dst"), rapid.SampledFrom([]uint16{1, 53, 54, 1024, 1025}).Draw(t, "port"))
			for way, peer := range map[string]netip.Addr{"Ingress": p.Src, "Egress": p.Dst} {
				d, err := set.Query(p, "default/all pods "+strings.ToLower(way))
				if want := n.permits(way, peer, p); err != nil || d.Verdict == "unknown" || (d.Verdict == "permit") != want {
					t.Fatalf("%s %s: %+v %v, want %v", filepath.Base(name), way, d, err, want)
				} else if want {
					permitted++
				} else {
					denied++
				}
			}
		})
	}
	if permitted == 0 || denied == 0 {
		t.Error(permitted, denied)
	}
}

const policies = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: shop}
spec:
  podSelector: {matchLabels: {app: web}}
  ingress:
  - from:
    - podSelector: {matchLabels: {app: front}}
    - namespaceSelector: {matchLabels: {team: ops}}
      podSelector: {matchExpressions: [{key: role, operator: NotIn, values: [guest]}]}
    - ipBlock: {cidr: 192.0.2.0/24, except: [192.0.2.128/25]}
    ports: [{port: http}, {port: 8000, endPort: 8010, protocol: UDP}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: more, namespace: shop}
spec:
  podSelector: {}
  policyTypes: [Ingress, Egress]
  ingress: [{from: [{ipBlock: {cidr: 203.0.113.7/32}}]}]
  egress: [{to: [{podSelector: {}}], ports: [{port: http}]}]
---
`

const cluster = `apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Namespace
  metadata: {name: shop}
- apiVersion: v1
  kind: Namespace
  metadata: {name: ops, labels: {team: ops}}
- apiVersion: v1
  kind: Pod
  metadata: {name: web-1, namespace: shop, labels: {app: web}}
  spec: {containers: [{name: c, ports: [{name: http, containerPort: 8080}]}]}
  status: {podIP: 10.0.0.1, hostIP: 172.16.0.1, phase: Running}
- apiVersion: v1
  kind: Pod
  metadata: {name: front-1, namespace: shop, labels: {app: front}}
  spec: {containers: [{name: c, ports: [{name: http, containerPort: 3000}]}]}
  status: {podIP: 10.0.0.2, podIPs: [{ip: 10.0.0.2}, {ip: "2001:db8::2"}]}
- apiVersion: v1
  kind: Pod
  metadata: {name: guest, namespace: ops, labels: {role: guest}}
  status: {podIP: 10.0.0.3}
- apiVersion: v1
  kind: Pod
  metadata: {name: admin, namespace: ops}
  status: {podIP: 10.0.0.4}
- apiVersion: v1
  kind: Pod
  metadata: {name: done, namespace: ops}
  status: {podIP: 192.0.2.200, phase: Succeeded}
`

func TestCluster(t *testing.T) {
	set := read(t, policies+cluster)
	for _, c := range []struct {
		chain string
		p     ruleset.Packet
		want  string
	}{
		{"shop/web-1 ingress", packet(6, "10.0.0.2", "10.0.0.1", 8080), "permit"},
		{"shop/web-1 ingress", packet(6, "10.0.0.2", "10.0.0.1", 80), "deny"},
		{"shop/web-1 ingress", packet(17, "10.0.0.2", "10.0.0.1", 8005), "permit"},
		{"shop/web-1 ingress", packet(6, "10.0.0.3", "10.0.0.1", 8080), "deny"},
		{"shop/web-1 ingress", packet(6, "10.0.0.4", "10.0.0.1", 8080), "permit"},
		{"shop/web-1 ingress", packet(6, "192.0.2.9", "10.0.0.1", 8080), "permit"},
		{"shop/web-1 ingress", packet(6, "192.0.2.200", "10.0.0.1", 8080), "deny"},
		{"shop/web-1 ingress", packet(6, "203.0.113.7", "10.0.0.1", 1), "permit"}, // policies add up
		{"shop/web-1 ingress", packet(6, "172.16.0.1", "10.0.0.1", 1), "permit"},  // its node
		{"shop/web-1 egress", packet(6, "10.0.0.1", "10.0.0.2", 3000), "permit"},
		{"shop/web-1 egress", packet(6, "10.0.0.1", "10.0.0.2", 8080), "deny"}, // another pod's name for it
		{"shop/web-1 egress", packet(6, "10.0.0.1", "10.0.0.4", 3000), "deny"},
		{"ops/admin ingress", packet(6, "203.0.113.9", "10.0.0.4", 1), "permit"}, // no policy
	} {
		if d := ask(t, set, c.chain, c.p); d.Verdict != c.want {
			t.Errorf("%s %v %d: %+v, want %s", c.chain, c.p.Src, *c.p.DstPort, d, c.want)
		}
	}
	p := packet(6, "10.0.0.2", "10.0.0.1", 8080)
	p.In = "shop/web-1"
	if d := ask(t, set, "", p); d.Verdict != "permit" {
		t.Errorf("%+v", d)
	}
}

// Without the cluster, labels and named ports are not known.
func TestPoliciesAlone(t *testing.T) {
	set := read(t, policies)
	for _, c := range []struct {
		chain string
		p     ruleset.Packet
		want  string
	}{
		{"shop/app=web ingress", packet(6, "192.0.2.9", "10.0.0.1", 8080), "unknown"},
		{"shop/app=web ingress", packet(17, "192.0.2.9", "10.0.0.1", 8000), "permit"},
		{"shop/app=web ingress", packet(17, "198.51.100.9", "10.0.0.1", 8000), "unknown"}, // it may be a pod
		{"shop/app=web ingress", packet(17, "198.51.100.9", "10.0.0.1", 8011), "deny"},
		{"shop/app=web ingress", packet(6, "203.0.113.7", "10.0.0.1", 5), "permit"}, // the empty selector selects it too
		{"shop/all pods ingress", packet(17, "192.0.2.9", "10.0.0.1", 8000), "unknown"},
		{"shop/all pods ingress", packet(17, "192.0.2.9", "10.0.0.1", 7000), "deny"},
	} {
		if d := ask(t, set, c.chain, c.p); d.Verdict != c.want {
			t.Errorf("%s %v %d: %+v, want %s", c.chain, c.p.Src, *c.p.DstPort, d, c.want)
		}
	}
}

// A policy that may select a pod isolates it only if it does.
func TestPerhapsIsolated(t *testing.T) {
	set := read(t, strings.ReplaceAll(`apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: a}
spec: {podSelector: {matchLabels: {app: a}}, policyTypes: [Egress]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: b}
spec: {podSelector: {matchLabels: {tier: b}}, ingress: []}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: c}
spec: {podSelector: {matchLabels: {app: c}}}
`, "\t", ""))
	for chain, want := range map[string]string{"default/app=a ingress": "unknown", "default/app=a egress": "deny", "default/tier=b ingress": "deny", "default/app=c egress": "permit"} {
		if d := ask(t, set, chain, packet(6, "192.0.2.1", "192.0.2.2", 1)); d.Verdict != want {
			t.Errorf("%s: %+v, want %s", chain, d, want)
		}
	}
}

func TestForeignPolicies(t *testing.T) {
	const calico = "apiVersion: projectcalico.org/v3\nkind: NetworkPolicy\nmetadata: {name: x}\n---\n"
	const cilium = "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: y}\n---\n"
	if _, _, err := Read(strings.NewReader(calico+cilium), Options{}); !errors.Is(err, ErrForeign) || !strings.Contains(err.Error(), "CiliumNetworkPolicy y") {
		t.Error(err)
	}
	set, problems, err := Read(strings.NewReader(policies+cilium), Options{})
	if err != nil || len(problems) != 1 {
		t.Fatal(err, problems)
	}
	set.Prepare()
	if d := ask(t, set, "shop/all pods ingress", packet(6, "203.0.113.7", "10.0.0.1", 1)); d.Verdict != "unknown" || !strings.Contains(d.Why, "CiliumNetworkPolicy") {
		t.Errorf("%+v", d)
	}
}

// A document that cannot be read may be a policy.
func TestDamage(t *testing.T) {
	set, problems, err := Read(strings.NewReader(policies+"kind: NetworkPolicy\nspec: {a: [\n"), Options{})
	if err != nil || len(problems) != 1 || problems[0].Line < 23 {
		t.Fatal(err, problems)
	}
	set.Prepare()
	if d := ask(t, set, "shop/all pods ingress", packet(6, "203.0.113.7", "10.0.0.1", 1)); d.Verdict != "unknown" {
		t.Errorf("%+v", d)
	}
	for _, text := range []string{"", "a: b\n", "kind: Pod\n", "{}", "kind: NetworkPolicy\nspec: {\n"} {
		if _, _, err := Read(strings.NewReader(text), Options{}); !errors.Is(err, ErrFormat) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// Laughs: aliases of aliases, deep nesting and dense lines end soon.
func TestHostileYAML(t *testing.T) {
	var laughs strings.Builder
	laughs.WriteString("kind: NetworkPolicy\na0: &a0 [x,x,x,x,x,x,x,x,x,x]\n")
	for i := range 12 {
		fmt.Fprintf(&laughs, "a%d: &a%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i), 10), ","))
	}
	for _, text := range []string{laughs.String(), "kind: NetworkPolicy\na: " + strings.Repeat("[", 100_000), "kind: NetworkPolicy\na: " + strings.Repeat("{a: ", 100_000),
		"kind: NetworkPolicy\n" + strings.Repeat("- ", 100_000), "kind: NetworkPolicy\n" + strings.Repeat("a: ", 100_000), strings.Repeat("[", 1_000_000)} {
		if _, _, err := Read(strings.NewReader(text), Options{}); err == nil {
			t.Errorf("%.40q was read", text)
		}
	}
}

// A list of many policies is read item by item.
func TestManyPolicies(t *testing.T) {
	var b strings.Builder
	b.WriteString("apiVersion: v1\nitems:\n")
	for i := range 3000 {
		fmt.Fprintf(&b, "- apiVersion: networking.k8s.io/v1\n  kind: NetworkPolicy\n  metadata:\n    name: p%d\n  spec:\n    podSelector: {}\n    ingress:\n    - from:\n      - ipBlock:\n          cidr: 10.%d.%d.0/24\n", i, i/256, i%256)
	}
	b.WriteString("kind: List\n")
	set := read(t, b.String())
	if n := len(set.Chains[0].Rules); n != 3000 || set.Chains[0].Rules[2999].Line != 3+2999*10+9-1 {
		t.Errorf("%d rules, the last at line %d", n, set.Chains[0].Rules[n-1].Line)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(policies + cluster))
	f.Add([]byte("kind: NetworkPolicy\nspec: &a {podSelector: {matchExpressions: [{operator: X}]}, ingress: [{ports: [{port: -1, endPort: x}], from: [{ipBlock: {cidr: x}, podSelector: }]}]}\n<<: *a\n"))
	f.Add([]byte("items:\n- kind: NetworkPolicy\n-\n  - x\nkind: List\n--- !!a\n? b\n"))
	f.Add([]byte(`{"kind":"List","items":[{"kind":"NetworkPolicy","apiVersion":"networking.k8s.io/v1"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if set, _, _ := Read(strings.NewReader(string(data)), Options{}); set != nil {
			set.Prepare()
		}
	})
}
