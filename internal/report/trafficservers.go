package report

import (
	"strings"

	"github.com/portreeve/portreeve/internal/traffic/flow"
	"github.com/portreeve/portreeve/internal/traffic/inventory"
)

// appendServers writes each server endpoint with what was heard of it, and
// the hosts that told a name.
func appendServers(dst []byte, t *Traffic) []byte {
	dst = append(appendKey(dst, "servers"), '[')
	for i := range t.Servers {
		r := &t.Servers[i]
		heard := t.heardAt(r)
		dst = appendProtoField(append(dst, '\n', '{'), r.Proto)
		dst = appendPacketSide(dst, "addr", "port", r.Addr, r.Port, true)
		dst = appendField(dst, "service", t.serverService(r))
		dst = appendSaid(dst, "speaks", heard.Service)
		dst = appendSaid(dst, "product", heard.Product)
		dst = appendSaid(dst, "version", heard.Version)
		dst = appendSaid(dst, "detail", heard.Detail)
		dst = appendBool(dst, "answers", heard.Answers || r.PacketsFrom > 0)
		dst = appendCounts(dst, &r.Counts)
		dst = appendUint(dst, "clients", r.Clients)
		if r.AtLeast {
			dst = appendBool(dst, "at_least", true)
		}
		dst = appendSaid(dst, "negotiated", r.Label)
		dst = append(trimLast(dst), '}', ',')
	}
	dst = append(closeList(dst), ',', '\n')
	return appendNamedHosts(dst, t)
}

func appendNamedHosts(dst []byte, t *Traffic) []byte {
	dst = append(appendKey(dst, "hosts"), '[')
	for h := range t.Heard.Hosts() {
		dst = appendPacketSide(append(dst, '\n', '{'), "addr", "", h.Addr, 0, false)
		if h.HasMAC {
			dst = append(appendMAC(append(appendKey(dst, "mac"), '"'), h.MAC), '"', ',')
		}
		dst = appendSaid(dst, "dhcp_name", h.DHCPName)
		dst = appendSaid(dst, "mdns_name", h.MDNSName)
		dst = appendSaid(dst, "netbios_name", h.NetBIOSName)
		dst = append(trimLast(dst), '}', ',')
	}
	return closeList(dst)
}

func (t *Traffic) heardAt(r *flow.ServerRow) inventory.Service {
	s, _ := t.Heard.Service(r.Proto, r.Addr, r.Port)
	return s
}

func (t *Traffic) serverService(r *flow.ServerRow) string {
	return t.serviceOf(&flow.PortRow{Proto: r.Proto, Port: r.Port, Label: r.Label})
}

func (t *Traffic) serverTable() ([]column, [][]string) {
	cols := []column{{head: "SERVER", min: 20}, {head: "SERVICE", min: 8}, {head: "HEARD", min: 12}, {head: "PACKETS"}, {head: "BYTES"}, {head: "CLIENTS"}}
	var rows [][]string
	for i := range t.Servers {
		r := &t.Servers[i]
		more := ""
		if r.AtLeast {
			more = "+"
		}
		end := appendProto(nil, r.Proto)
		end = appendPacketEnd(append(end, '/'), r.Addr, r.Port, true)
		rows = append(rows, []string{string(end), dash(Escape(t.serverService(r))), dash(Escape(heardWords(t.heardAt(r)))),
			thousands(int(r.Packets)), size(r.Bytes), thousands(int(r.Clients)) + more})
	}
	return cols, rightAligned(cols, rows, 3)
}

// heardWords is what a server said of itself, shortest first.
func heardWords(s inventory.Service) string {
	if s.Service == "" && s.Answers {
		return "answers"
	}
	return strings.Join(strings.Fields(strings.Join([]string{s.Service, s.Product, s.Version, s.Detail}, " ")), " ")
}
