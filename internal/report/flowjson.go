package report

import "github.com/portreeve/portreeve/internal/traffic/flow"

// AppendFlowJSON adds one flow as the contract's JSON line. owner and service
// may be empty.
func AppendFlowJSON(dst []byte, f *flow.Flow, service string) []byte {
	dst = appendProtoField(append(dst, '{'), f.Proto)
	dst = appendPacketSide(dst, "client", "client_port", f.Client, f.ClientPort, true)
	dst = appendPacketSide(dst, "server", "server_port", f.Server, f.ServerPort, true)
	dst = appendUint(dst, "packets_to_server", f.PacketsToServer)
	dst = appendUint(dst, "packets_to_client", f.PacketsToClient)
	dst = appendUint(dst, "bytes_to_server", f.BytesToServer)
	dst = appendUint(dst, "bytes_to_client", f.BytesToClient)
	dst = appendNanos(dst, "first", f.First)
	dst = appendNanos(dst, "last", f.Last)
	dst = appendField(dst, "history", f.History)
	dst = appendField(dst, "state", f.State.String())
	dst = appendField(dst, "oriented_by", f.OrientedBy.String())
	if f.HasVLAN {
		dst = appendUint(dst, "vlan", uint64(f.VLAN&0xfff))
	}
	if service != "" {
		dst = appendField(dst, "service", service)
	}
	if f.Label != "" {
		dst = appendField(dst, "negotiated", f.Label)
	}
	if f.Refused > 0 {
		dst = appendUint(dst, "refused", uint64(f.Refused))
		dst = appendUint(dst, "refused_type", uint64(f.RefusedType))
		dst = appendUint(dst, "refused_code", uint64(f.RefusedCode))
	}
	dst = appendTunnelList(dst, f.Tunnels[:min(int(f.Depth), len(f.Tunnels))])
	return append(trimLast(dst), "}\n"...)
}
