package fwlog

// dialect is one way to write a firewall's log.
type dialect struct {
	name string
	// read fills e from the line and tells whether the line is an event of
	// this dialect. What it is not sure of it declines; it may leave e filled
	// in part then. Declining must be quick: every line of another dialect
	// gets here. p.noEvent() is returned for a line that is certainly of this
	// dialect, but no event; p.more is set to a function that gives the next
	// event of a line that has several.
	read func(p *Parser, l *line, e *Event) bool
}

// dialects are asked in this order: what can be told apart for certain first,
// the generic envelopes (CEF, LEEF) of products last.
// One line each.
var dialects = []dialect{
	{"netfilter", readNetfilter},
	{"ulogd", readUlogd},
	{"mikrotik", readMikroTik},
	{"filterlog", readFilterlog},
	{"pflog", readPflog},
	{"ipfw", readIPFW},
	{"ipmon", readIPMon},
	{"cisco-asa", readCiscoASA},
	{"cisco-ios", readCiscoIOS},
	{"cisco-meraki", readMeraki},
	{"juniper-srx", readJuniperSRX},
	{"juniper-screenos", readScreenOS},
	{"juniper-filter", readJunosFilter},
	{"fortigate", readFortiGate},
	{"paloalto", readPaloAlto},
	{"checkpoint", readCheckPoint},
	{"sonicwall", readSonicWall},
	{"sophos-utm", readSophosUTM},
	{"sophos-xg", readSophosXG},
	{"watchguard", readWatchGuard},
	{"stormshield", readStormshield},
	{"zyxel", readZyxel},
	{"barracuda", readBarracuda},
	{"huawei", readHuawei},
	{"h3c", readH3C},
	{"windows-firewall", readWindowsFirewall},
	{"windows-event", readWindowsEvent},
	{"vmware-nsx", readNSX},
	{"aws-network-firewall", readNetworkFirewall},
	{"aws-vpc", readVPC},
	{"gcp-firewall", readGCPFirewall},
	{"gcp-flow", readGCPFlow},
	{"azure-nsg", readAzureNSG},
	{"azure-vnet", readAzureVNet},
	{"azure-firewall", readAzureFirewall},
	{"cilium", readCilium},
	{"calico", readCalico},
	{"antrea", readAntrea},
	{"ovn", readOVN},
	{"suricata", readSuricata},
	{"cef", readCEF},
	{"leef", readLEEF},
}

// Formats are the names of all dialects, in the order in which they are asked.
func Formats() []string {
	names := make([]string, len(dialects))
	for i := range dialects {
		names[i] = dialects[i].name
	}
	return names
}
