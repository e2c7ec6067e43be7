package windows

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

func packet(proto uint8, src, dst string, port uint16) ruleset.Packet {
	p := ruleset.Packet{Proto: proto, Src: netip.MustParseAddr(src), Dst: netip.MustParseAddr(dst)}
	switch proto {
	case 6, 17:
		p.SrcPort, p.DstPort = new(uint16(40000)), &port
	case 1, 58:
		p.ICMPType, p.ICMPCode = new(uint8(port)), new(uint8(0))
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

func read(t *testing.T, text string, o Options) *ruleset.RuleSet {
	t.Helper()
	set, problems, err := Read(strings.NewReader(text), o)
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	set.Prepare()
	return set
}

// What aerleon writes, with the packets that each file lets out or not. Rules
// that allow change nothing of a direction that is open anyway.
func TestAerleon(t *testing.T) {
	const dir = "../../../../../shared/fixtures/rulesets/aerleon/tests/regression/windows_advfirewall/WindowsAdvFirewallTest."
	for name, want := range map[string]struct {
		rules int
		p     ruleset.Packet
		text  string
	}{
		"testTcp":           {1, packet(6, "192.0.2.1", "10.0.0.1", 25), "in out"},
		"testIcmp":          {1, packet(1, "192.0.2.1", "10.0.0.1", 8), "in out"},
		"testIcmpTypes":     {3, packet(1, "192.0.2.1", "10.0.0.1", 3), "deny"},
		"testMiscProtocol":  {2, packet(112, "192.0.2.1", "10.0.0.1", 0), "in out"},
		"testMultiprotocol": {3, packet(17, "192.0.2.1", "10.0.0.1", 53), "in out"},
		"testAnyProtocol":   {1, packet(6, "10.0.0.1", "10.0.0.2", 1), "in out"},
	} {
		b, err := os.ReadFile(filepath.FromSlash(dir + name + ".stdout.ref"))
		if err != nil {
			t.Fatal(err)
		}
		set := read(t, string(b), Options{})
		if n := len(set.Chains[1].Rules); n != want.rules || len(set.Chains[0].Rules) != 0 {
			t.Errorf("%s: %d rules", name, n)
		}
		d := ask(t, set, "outbound", want.p)
		if want.text == "deny" && d.Verdict != "deny" || want.text != "deny" && (d.Verdict != "permit" || !strings.Contains(d.Rule, "out allow")) {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

const verbose = `
Rule Name:                            web
----------------------------------------------------------------------
Description:                          the shop
Enabled:                              Yes
Direction:                            In
Profiles:                             Domain,Private,Public
Grouping:                             
LocalIP:                              Any
RemoteIP:                             192.0.2.0/24,198.51.100.1-198.51.100.9,2001:db8::/32
Protocol:                             TCP
LocalPort:                            80,443,8000-8010
RemotePort:                           Any
Edge traversal:                       No
Program:                              Any
InterfaceTypes:                       Any
Security:                             NotRequired
Rule source:                          Local Setting
Action:                               Allow

Rule Name:                            bad host
----------------------------------------------------------------------
Enabled:                              Yes
Direction:                            In
Profiles:                             Domain,Private,Public
Grouping:                             
LocalIP:                              Any
RemoteIP:                             192.0.2.66/32
Protocol:                             Any
Edge traversal:                       No
Program:                              Any
Action:                               Block

Rule Name:                            off
----------------------------------------------------------------------
Enabled:                              No
Direction:                            In
Profiles:                             Domain,Private,Public
Protocol:                             Any
Action:                               Allow

Rule Name:                            ping
----------------------------------------------------------------------
Enabled:                              Yes
Direction:                            In
Profiles:                             Private
LocalIP:                              Any
RemoteIP:                             Any
Protocol:                             ICMPv4
                                      Type    Code
                                      8       Any 
Program:                              Any
Action:                               Allow

Rule Name:                            only a program
----------------------------------------------------------------------
Enabled:                              Yes
Direction:                            In
Profiles:                             Domain,Private,Public
LocalIP:                              Any
RemoteIP:                             LocalSubnet
Protocol:                             UDP
LocalPort:                            5353
RemotePort:                           Any
Program:                              C:\x\y.exe
Action:                               Allow
Ok.
`

func TestShow(t *testing.T) {
	for _, text := range []string{verbose, strings.ReplaceAll(verbose, "\n", "\r\n")} {
		set := read(t, text, Options{})
		for _, c := range []struct {
			p    ruleset.Packet
			want string
		}{
			{packet(6, "192.0.2.1", "10.0.0.1", 443), "permit"},
			{packet(6, "198.51.100.9", "10.0.0.1", 8005), "permit"},
			{packet(6, "198.51.100.10", "10.0.0.1", 8005), "deny"},
			{packet(6, "2001:db8::9", "2001:db8::1", 80), "permit"},
			{packet(6, "192.0.2.66", "10.0.0.1", 443), "deny"}, // a block wins, wherever it stands
			{packet(6, "192.0.2.1", "10.0.0.1", 22), "deny"},
			{packet(1, "192.0.2.1", "10.0.0.1", 8), "unknown"}, // depends on the profile
			{packet(1, "192.0.2.1", "10.0.0.1", 0), "deny"},
			{packet(17, "192.0.2.1", "10.0.0.1", 5353), "unknown"},
		} {
			if d := ask(t, set, "inbound", c.p); d.Verdict != c.want {
				t.Errorf("%v %d: %+v, want %s", c.p.Src, c.p.Proto, d, c.want)
			}
		}
		if d := ask(t, set, "inbound", packet(6, "192.0.2.1", "10.0.0.1", 443)); d.Line != 2 {
			t.Errorf("%+v", d)
		}
		if d := ask(t, set, "outbound", packet(6, "10.0.0.1", "192.0.2.66", 22)); d.Verdict != "permit" {
			t.Errorf("%+v", d)
		}
	}
	for profile, want := range map[string]string{"private": "permit", "Public": "deny"} {
		if d := ask(t, read(t, verbose, Options{Profile: profile}), "inbound", packet(1, "192.0.2.1", "10.0.0.1", 8)); d.Verdict != want {
			t.Errorf("%s: %+v", profile, d)
		}
	}
}

// The profiles' settings beside the rules.
func TestShowProfiles(t *testing.T) {
	const profiles = "\nDomain Profile Settings: \n----------------------------------------------------------------------\nState                                 ON\nFirewall Policy                       BlockInbound,AllowOutbound\n" +
		"\nPrivate Profile Settings: \n----------------------------------------------------------------------\nState                                 OFF\nFirewall Policy                       BlockInbound,BlockOutbound\n" +
		"\nPublic Profile Settings: \n----------------------------------------------------------------------\nState                                 ON\nFirewall Policy                       BlockInboundAlways,BlockOutbound\n"
	in, out := packet(6, "192.0.2.1", "10.0.0.1", 443), packet(6, "10.0.0.1", "192.0.2.1", 443)
	for profile, want := range map[string]string{"domain": "permit permit", "private": "permit permit", "public": "deny deny", "": "unknown unknown"} {
		set := read(t, profiles+verbose, Options{Profile: profile})
		if got := ask(t, set, "inbound", in).Verdict + " " + ask(t, set, "outbound", out).Verdict; got != want {
			t.Errorf("%q: %s, want %s", profile, got, want)
		}
	}
}

// Without verbose netsh does not say for which program a rule is.
func TestShowWithoutPrograms(t *testing.T) {
	text := "Rule Name: a\n---\nEnabled: Yes\nDirection: In\nProfiles: Domain,Private,Public\nGrouping:\nProtocol: TCP\nLocalPort: 22\nAction: Allow\n\n" +
		"Rule Name: b\n---\nEnabled: Yes\nDirection: In\nProfiles: Domain,Private,Public\nGrouping: Games\nProtocol: TCP\nLocalPort: 23\nAction: Allow\n"
	set, problems, err := Read(strings.NewReader(text), Options{})
	if err != nil || len(problems) != 2 {
		t.Fatal(err, problems)
	}
	set.Prepare()
	for port, want := range map[uint16]string{22: "permit", 23: "unknown", 24: "deny"} {
		if d := ask(t, set, "inbound", packet(6, "192.0.2.1", "10.0.0.1", port)); d.Verdict != want {
			t.Errorf("%d: %+v", port, d)
		}
	}
}

// The same three rules in all other forms: 22 from 192.0.2.0/24, all from
// 192.0.2.66 blocked, and one that is off.
func TestForms(t *testing.T) {
	for name, text := range map[string]string{
		"registry": "Windows Registry Editor Version 5.00\r\n\r\n[HKEY_LOCAL_MACHINE\\SYSTEM\\x\\FirewallRules]\r\n" +
			`"{1}"="v2.31|Action=Allow|Active=TRUE|Dir=In|Protocol=6|LPort=22|RA4=192.0.2.0/255.255.255.0|Name=ssh|Desc=a \"b\" C:\\x|EmbedCtxt=g|"` + "\r\n" +
			`"{2}"="v2.31|Action=Block|Active=TRUE|Dir=In|RA4=192.0.2.66-192.0.2.66|Name=bad|"` + "\r\n" +
			`"{3}"="v2.31|Action=Allow|Active=FALSE|Dir=In|Name=off|"` + "\r\n",
		"reg query": "HKEY_LOCAL_MACHINE\\x\\FirewallRules\n    {1}    REG_SZ    v2.10|Action=Allow|Active=TRUE|Dir=In|Protocol=6|LPort2_10=22-22|RA4=192.0.2.0/24|Name=ssh|\n    {2}    REG_SZ    v2.10|Action=Block|Active=TRUE|Dir=In|RA4=192.0.2.66|Name=bad|\n",
		"json": `[{"DisplayName":"ssh","Enabled":1,"Direction":1,"Action":2,"Profile":0,"Protocol":"TCP","LocalPort":"22","RemotePort":"Any","LocalAddress":"Any","RemoteAddress":["192.0.2.0/255.255.255.0"],"Program":"Any","Service":"Any"},
			{"DisplayName":"bad","Enabled":1,"Direction":1,"Action":4,"Profile":7,"Protocol":"Any","LocalPort":"Any","RemotePort":"Any","LocalAddress":"Any","RemoteAddress":"192.0.2.66","Program":"Any"},
			{"DisplayName":"off","Enabled":2,"Direction":1,"Action":2,"Profile":0,"Protocol":"Any","LocalPort":"Any","RemotePort":"Any","LocalAddress":"Any","RemoteAddress":"Any","Program":"Any"}]`,
		"json, nested": `{"Name":"x","DisplayName":"ssh","Enabled":{"value":1,"Value":"True"},"Direction":"Inbound","Action":"Allow","Profile":"Any","PortFilter":{"Protocol":"TCP","LocalPort":"22","RemotePort":"Any"},"AddressFilter":{"LocalAddress":"Any","RemoteAddress":"192.0.2.0/24"},"ApplicationFilter":{"Program":"Any"}}
			{"DisplayName":"bad","Enabled":"True","Direction":"Inbound","Action":"Block","Profile":"Any","PortFilter":{"Protocol":"Any","LocalPort":"Any","RemotePort":"Any"},"AddressFilter":{"LocalAddress":"Any","RemoteAddress":"192.0.2.66"},"ApplicationFilter":{"Program":"Any"}}`,
		"csv": "#TYPE Selected.System.Management\r\n\"DisplayName\",\"Enabled\",\"Direction\",\"Action\",\"Profile\",\"Protocol\",\"LocalPort\",\"RemotePort\",\"LocalAddress\",\"RemoteAddress\",\"Program\"\r\n" +
			"\"ssh, \"\"x\"\"\",\"True\",\"Inbound\",\"Allow\",\"Domain, Private, Public\",\"TCP\",\"22,23\",\"Any\",\"Any\",\"192.0.2.0/24\",\"Any\"\r\n\"bad\",\"True\",\"Inbound\",\"Block\",\"Any\",\"Any\",\"Any\",\"Any\",\"Any\",\"192.0.2.66\",\"Any\"\r\n\"off\",\"False\",\"Inbound\",\"Allow\",\"Any\",\"Any\",\"Any\",\"Any\",\"Any\",\"Any\",\"Any\"\r\n",
		"csv, semicolons": "DisplayName;Enabled;Direction;Action;Profile;Protocol;LocalPort;RemotePort;LocalAddress;RemoteAddress;Program\nssh;True;Inbound;Allow;Any;TCP;22;Any;Any;192.0.2.0/24;Any\nbad;True;Inbound;Block;Any;Any;Any;Any;Any;192.0.2.66;Any\n",
		"list": "DisplayName   : ssh\nEnabled       : True\nDirection     : Inbound\nAction        : Allow\nProfile       : Any\nProtocol      : TCP\nLocalPort     : {22, 23}\nRemotePort    : Any\nLocalAddress  : Any\nRemoteAddress : 192.0.2.0/24\nProgram       : Any\n\n" +
			"DisplayName   : bad\nEnabled       : True\nDirection     : Inbound\nAction        : Block\nProfile       : Any\nProtocol      : Any\nLocalPort     : Any\nRemotePort    : Any\nLocalAddress  : Any\nRemoteAddress : 192.0.2.66\nProgram       : Any\n",
		"netsh script": "@echo off\r\nREM rules\r\nnetsh advfirewall set allprofiles firewallpolicy blockinbound,allowoutbound\r\nnetsh advfirewall firewall delete rule name=\"ssh\"\r\nnetsh advfirewall firewall add rule name=\"ssh\" dir=in action=allow protocol=TCP localport=22 ^\r\n  remoteip=192.0.2.0/24\r\nnetsh advfirewall firewall add rule name=bad dir=in action=block remoteip=192.0.2.66\r\nnetsh advfirewall firewall add rule name=off dir=in action=allow enable=no\r\n",
		"powershell":   "# rules\n<# more\n#>\nRemove-NetFirewallRule -Group 'x'\nNew-NetFirewallRule -DisplayName \"ssh `\"x`\"\" -Direction Inbound -Action Allow -Protocol TCP `\n  -LocalPort 22,23 -RemoteAddress @('192.0.2.0/24') | Out-Null\nNew-NetFirewallRule -DisplayName 'it''s bad' -Action Block -RemoteAddress 192.0.2.66\nNew-NetFirewallRule -DisplayName off -Enabled False\n",
	} {
		t.Run(name, func(t *testing.T) {
			units := utf16.Encode([]rune("\ufeff" + text))
			var wide strings.Builder
			for _, u := range units {
				wide.Write([]byte{byte(u), byte(u >> 8)})
			}
			for _, form := range []string{text, wide.String()} {
				set := read(t, form, Options{})
				for _, c := range []struct {
					p    ruleset.Packet
					want string
				}{
					{packet(6, "192.0.2.1", "10.0.0.1", 22), "permit"},
					{packet(6, "192.0.2.66", "10.0.0.1", 22), "deny"},
					{packet(6, "192.0.3.1", "10.0.0.1", 22), "deny"},
					{packet(17, "192.0.2.1", "10.0.0.1", 22), "deny"},
					{packet(6, "192.0.2.1", "10.0.0.1", 25), "deny"},
				} {
					if d := ask(t, set, "inbound", c.p); d.Verdict != c.want {
						t.Errorf("%+v: %+v, want %s", c.p, d, c.want)
					}
				}
			}
		})
	}
}

// Whatever is not understood makes a verdict unknown, and is said.
func TestUnknowns(t *testing.T) {
	const head = `v2.31|Action=Allow|Active=TRUE|Dir=In|Protocol=6|LPort=22|`
	for text, problems := range map[string]int{
		head + "Novel=1|":                                                        1,
		head + "App=C:\\x.exe|":                                                  0,
		head + "Svc=w32time|":                                                    0,
		head + "IFType=Lan|":                                                     0,
		head + "RA4=LocalSubnet|":                                                0,
		head + "RA4=10.0.0.0/33|":                                                1,
		head + "Profile=Domain|":                                                 0,
		head + "Security=Authenticate|":                                          0,
		head + "Platform=2:6:2|Platform2=GTEQ|":                                  0,
		`v2.31|Active=TRUE|Dir=In|Protocol=6|LPort=22|`:                          1,
		`v2.31|Action=Allow|Active=TRUE|Protocol=6|LPort=RPC|`:                   1,
		"New-NetFirewallRule -DisplayName a -Protocol TCP -LocalPort $port":      1,
		"New-NetFirewallRule @splat":                                             1,
		"netsh advfirewall firewall set rule name=a new enable=no":               1,
		`[{"DisplayName":"x","Enabled":1,"Direction":1,"Action":2,"Profile":0}]`: 6,
		"DisplayName,Enabled,Direction,Action,Profile,Protocol,LocalPort,RemotePort,LocalAddress,RemoteAddress,Program\na,True,Inbound,Allow,Any,TCP,System.String[],Any,Any,Any,Any\n": 1,
	} {
		set, said, err := Read(strings.NewReader(text), Options{})
		if err != nil || len(said) != problems {
			t.Errorf("%s: %v %v", text, err, said)
			continue
		}
		set.Prepare()
		if d := ask(t, set, "inbound", packet(6, "192.0.2.1", "10.0.0.1", 22)); d.Verdict != "unknown" || d.Why == "" {
			t.Errorf("%s: %+v", text, d)
		}
	}
}

func TestRefused(t *testing.T) {
	german := "\nRegelname:                            web\n----------------------------------------------------------------------\nAktiviert:                            Ja\nRichtung:                             Eingehend\nProfile:                              Domäne,Privat,Öffentlich\nGruppierung:                          \n"
	for text, want := range map[string]error{"": ErrFormat, "hello\n": ErrFormat, "[]": ErrFormat, `{"a":1}`: ErrFormat, "regf\x00\x00": ErrBinary, german: ErrLanguage,
		"interface Gi0\n ip access-list extended x\n": ErrFormat, "schema: x\nrules:\n- action: permit\n": ErrFormat} {
		if _, _, err := Read(strings.NewReader(text), Options{}); !errors.Is(err, want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(verbose))
	f.Add([]byte("v2.31|Action=Allow|Active=TRUE|Dir=In|ICMP4=8:*|Protocol=1|"))
	f.Add([]byte("New-NetFirewallRule -Name 'a''b' -LocalPort @(1,'2-3'),\"4`\"\" -Enabled:$true | Out-Null\nSet-NetFirewallProfile Domain -Enabled False"))
	f.Add([]byte("netsh advfirewall firewall add rule name=\"a b\" dir=out protocol=icmpv6:1,2 action=block ^\n"))
	f.Add([]byte("Direction;Action;LocalPort\nx;\"y\n"))
	f.Add([]byte(`{"DefaultInboundAction":2,"Name":"Public"}{"Direction":1,"Action":{"Value":"Block"},"xFilter":{"a":[1]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if set, _, _ := Read(strings.NewReader(string(data)), Options{}); set != nil {
			set.Prepare()
		}
	})
}
