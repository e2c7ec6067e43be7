// SPDX-License-Identifier: MIT OR GPL-2.0-only
//
// Counts the frames that pass an interface, by conversation, in a hash map.
// It is attached at TCX ingress and egress, changes nothing and lets every
// frame pass to the next program.

#include "kernel.h"
#include "maps.h"
#include "frame.h"
#include "transport.h"

enum { fragment_life = 30 }; // seconds; IP_FRAG_TIME, include/net/ip.h

// join remembers a first fragment's ports, or finds them for a later one.
// False: the first was not seen.
PART int join(struct walk *w)
{
	u64 now = ktime_get_boot_ns();

	if (!w)
		return 0;
	struct piece key = {
		.src = { w->src[0], w->src[1] },
		.dst = { w->dst[0], w->dst[1] },
		.id = w->id,
		.proto = w->piece_proto,
		.ipv6 = w->ipv6,
	};
	if (w->first_piece) {
		struct ports value = { now, w->src_port, w->dst_port, w->proto, w->one_way };
		map_update(&pieces, &key, &value, 0);
		return 1;
	}
	struct ports *known = map_lookup(&pieces, &key);
	if (!known || now - known->seen > fragment_life * 1000000000ull)
		return 0;
	w->src_port = known->src;
	w->dst_port = known->dst;
	w->proto = known->proto;
	w->one_way = known->one_way;
	return 1;
}

// turned says whether b of the conversation sent.
INLINE u32 turned(const struct walk *w)
{
	if (w->one_way)
		return 0;
	if (w->ipv6 && w->src[0] != w->dst[0])
		return w->src[0] > w->dst[0];
	if (w->ipv6 && w->src[1] != w->dst[1])
		return w->src[1] > w->dst[1];
	if (!w->ipv6 && *(u32 *)w->src != *(u32 *)w->dst)
		return *(u32 *)w->src > *(u32 *)w->dst;
	return w->src_port > w->dst_port;
}

INLINE u32 marks(const struct walk *w, u32 from_b)
{
	u32 m = (u32)w->flags << (from_b ? 8 : 0);

	switch (w->flags & 0x17) { // ACK, RST, SYN, FIN
	case 0x02:
		return m | (from_b ? syn_b : syn_a);
	case 0x12:
		return m | (from_b ? synack_b : synack_a);
	}
	return m;
}

INLINE void add(struct count *known, const struct walk *w, u32 from_b, u64 now, u64 packets, u64 bytes)
{
	__sync_fetch_and_add(&known->packets[from_b & 1], packets);
	__sync_fetch_and_add(&known->bytes[from_b & 1], bytes);
	known->last = now;
	if (!w->has_tcp)
		return;
	u32 m = marks(w, from_b);
	if ((known->marks & m) != m)
		__sync_fetch_and_or(&known->marks, m);
}

INLINE void begin(struct count *one, const struct walk *w, u32 from_b, u64 packets, u64 bytes)
{
	one->packets[0] = from_b ? 0 : packets;
	one->packets[1] = from_b ? packets : 0;
	one->bytes[0] = from_b ? 0 : bytes;
	one->bytes[1] = from_b ? bytes : 0;
	one->first = one->last = ktime_get_boot_ns();
	one->marks = w->has_tcp ? marks(w, from_b) : 0;
	one->vlan = w->vlan;
	one->first_flags = w->flags;
	one->first_from_b = from_b;
	one->pad = 0;
}

// RECORD adds a frame to its conversation in a map.
#define RECORD(map, key)                                                                   \
	do {                                                                               \
		struct count one, *known = map_lookup(map, key);                           \
		if (unlikely(!known)) {                                                    \
			begin(&one, w, from_b, packets, bytes);                            \
			if (map_update(map, key, &one, no_exist) == 0)                     \
				return;                                                    \
			/* Made by another processor meanwhile, or there is no room. */    \
			known = map_lookup(map, key);                                      \
		}                                                                          \
		if (likely(known)) {                                                       \
			add(known, w, from_b, t->now, packets, bytes);                     \
		} else {                                                                   \
			t->dropped += packets;                                             \
			t->dropped_bytes += bytes;                                         \
		}                                                                          \
	} while (0)

INLINE void record4(struct totals *t, const struct walk *w, u32 from_b, u64 packets, u64 bytes)
{
	u32 src = *(u32 *)w->src, dst = *(u32 *)w->dst;
	struct conversation4 key = {
		.a = from_b ? dst : src,
		.b = from_b ? src : dst,
		.port_a = from_b ? w->dst_port : w->src_port,
		.port_b = from_b ? w->src_port : w->dst_port,
		.proto = w->proto,
	};
	RECORD(&flows4, &key);
}

INLINE void record6(struct totals *t, const struct walk *w, u32 from_b, u64 packets, u64 bytes)
{
	struct conversation6 key = {
		.a = { from_b ? w->dst[0] : w->src[0], from_b ? w->dst[1] : w->src[1] },
		.b = { from_b ? w->src[0] : w->dst[0], from_b ? w->src[1] : w->dst[1] },
		.port_a = from_b ? w->dst_port : w->src_port,
		.port_b = from_b ? w->src_port : w->dst_port,
		.proto = w->proto,
	};
	RECORD(&flows6, &key);
}

// size says how many frames, and bytes on the wire, a packet socket is shown.
INLINE void size(struct __sk_buff *skb, struct totals *t, const struct walk *w, u64 *packets, u64 *bytes)
{
	*packets = 1;
	*bytes = skb->len;
	u32 segments = skb->gso_size ? skb->gso_segs : 1;
	if (likely(segments == 1))
		;
	else if (segments > 1 && ((w->proto == 6 && (w->ipv6 ? cut_tcp6 : cut_tcp4)) || (w->proto == 17 && cut_udp))) {
		*packets = segments;
		*bytes = skb->wire_len;
	} else {
		t->giants++;
		t->segments += segments;
	}
	if (unlikely(skb->vlan_present)) // was in the frame, is not in its length
		*bytes += *packets * 4;
}

INLINE int link(struct __sk_buff *skb, struct walk *w)
{
	if (skb->vlan_present)
		w->vlan = vlan_known | (skb->vlan_tci & 0xfff);
	if (!no_link_header)
		return ethernet(skb, w);
	u16 type = net16(skb->protocol);
	return type == 0x0800 || type == 0x86dd ? bare(skb, w) : type;
}

// network reads what is behind the link header. False: no IP packet.
INLINE int network(struct __sk_buff *skb, struct totals *t, struct walk *w)
{
	int ip = 0;

	switch (link(skb, w)) {
	case 0x0800:
		ip = ipv4(skb, w);
		break;
	case 0x86dd:
		ip = ipv6(skb, w);
		break;
	case -1:
		break;
	case 0x8847: // MPLS
	case 0x8848:
	case 0x8864: // PPPoE
	case 0x880b: // PPP
	case 0x894f: // NSH
		t->wrapped++;
	default:
		t->other++;
		return 0;
	}
	if (unlikely(!ip))
		t->undecoded++;
	return ip;
}

// conversed says whether the packet belongs to a conversation that is known.
INLINE int conversed(struct __sk_buff *skb, struct totals *t, struct walk *w)
{
	int readable = 1;

	if (unlikely(!w->later_piece && is_extension(w)))
		readable = extensions(skb, w);
	if (unlikely(w->later_piece)) {
		t->fragments++;
		readable = join(w);
		if (!readable)
			t->orphans++;
	} else {
		readable = readable ? transport(skb, w) : !has_ports(w->proto);
		if (!readable)
			t->portless++;
		else if (unlikely(w->first_piece))
			join(w);
	}
	if (unlikely(tunnel(w)))
		t->tunnels++;
	return readable;
}

SEC("tcx/ingress")
int meter(struct __sk_buff *skb)
{
	struct walk w = { .end = skb->len };
	u64 packets, bytes, tick = jiffies64();
	u32 zero = 0;

	if (unlikely(skb->pkt_type == packet_loopback))
		return tcx_next;
	struct totals *t = map_lookup(&stats, &zero);
	if (!t)
		return tcx_next;
	if (unlikely(t->tick != tick)) {
		t->tick = tick;
		t->now = ktime_get_boot_ns();
	}
	int counted = network(skb, t, &w) && conversed(skb, t, &w);
	size(skb, t, &w, &packets, &bytes);
	t->packets += packets;
	t->bytes += bytes;
	if (counted && w.ipv6)
		record6(t, &w, turned(&w), packets, bytes);
	else if (counted)
		record4(t, &w, turned(&w), packets, bytes);
	return tcx_next;
}

char _license[] SEC("license") = "Dual MIT/GPL";
