// SPDX-License-Identifier: MIT OR GPL-2.0-only
//
// Ports, or what stands for them, and what tells tunnels.

// counterpart is the type that answers an ICMP message, -1 where none does:
// RFC 792, 950, 1256.
INLINE int counterpart4(u8 type)
{
	switch (type) {
	case 0: return 8; // echo
	case 8: return 0;
	case 9: return 10; // router solicitation
	case 10: return 9;
	case 13: return 14; // timestamp
	case 14: return 13;
	case 15: return 16; // information
	case 16: return 15;
	case 17: return 18; // address mask
	case 18: return 17;
	}
	return -1;
}

// RFC 4443, 4861, 2710, 4620, 6275.
INLINE int counterpart6(u8 type)
{
	switch (type) {
	case 128: // echo
	case 130: // multicast listener
	case 144: // home agent address discovery
		return type + 1;
	case 129:
	case 131:
	case 145:
		return type - 1;
	case 133: // router solicitation
	case 135: // neighbour solicitation
	case 139: // node information
		return type + 1;
	case 134:
	case 136:
	case 140:
		return type - 1;
	}
	return -1;
}

INLINE int icmp(struct __sk_buff *skb, struct walk *w)
{
	u16 h[1];

	if (!take_u16(skb, w->at, w->end, h, 1))
		return 0;
	u8 type = net16(h[0]) >> 8;
	int answer = w->proto == 58 ? counterpart6(type) : counterpart4(type);
	w->src_port = type;
	w->one_way = answer < 0;
	w->dst_port = answer < 0 ? net16(h[0]) & 0xff : answer;
	return 1;
}

INLINE void tcp(struct __sk_buff *skb, struct walk *w)
{
	u32 h[2];

	if (!take_u32(skb, w->at + 12, w->end, h, 2))
		return;
	w->has_tcp = 1;
	w->flags = net32(h[0]) >> 16;
}

INLINE int ports(struct __sk_buff *skb, struct walk *w)
{
	u16 h[2];

	if (!take_u16(skb, w->at, w->end, h, 2))
		return 0;
	w->src_port = net16(h[0]);
	w->dst_port = net16(h[1]);
	if (w->proto == 6)
		tcp(skb, w);
	return 1;
}

PART int rare_transport(struct __sk_buff *skb, struct walk *w)
{
	if (!w)
		return 0;
	switch (w->proto) {
	case 1: // ICMP
	case 58: // ICMPv6
		return icmp(skb, w);
	case 33: // DCCP
	case 132: // SCTP
	case 136: // UDP-Lite
		return ports(skb, w);
	}
	return 1;
}

// transport reads ports. False: they are cut.
INLINE int transport(struct __sk_buff *skb, struct walk *w)
{
	if (likely(w->proto == 6 || w->proto == 17)) // TCP, UDP
		return ports(skb, w);
	return rare_transport(skb, w);
}

INLINE int has_ports(u8 proto)
{
	switch (proto) {
	case 1:
	case 6:
	case 17:
	case 33:
	case 58:
	case 132:
	case 136:
		return 1;
	}
	return 0;
}

INLINE int tunnel_port(u16 port)
{
	switch (port) {
	case 1701: // L2TP
	case 2152: // GTP-U
	case 3544: // Teredo
	case 4754: // GRE
	case 4789: // VXLAN
	case 4790: // VXLAN-GPE
	case 6081: // Geneve
	case 6635: // MPLS
	case 8472: // VXLAN as Linux had it first
		return 1;
	}
	return 0;
}

// tunnel says that the packet looks as if there were another in it.
INLINE int tunnel(const struct walk *w)
{
	switch (w->proto) {
	case 4: // IPv4
	case 41: // IPv6
	case 47: // GRE
	case 97: // Ethernet
	case 115: // L2TP
	case 137: // MPLS
		return 1;
	case 17:
		return tunnel_port(w->src_port) || tunnel_port(w->dst_port);
	}
	return 0;
}
