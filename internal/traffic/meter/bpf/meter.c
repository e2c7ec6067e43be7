// SPDX-License-Identifier: MIT OR GPL-2.0-only
//
// Counts the frames that pass an interface, by conversation, in a hash map.
// It is attached at TCX ingress and egress, changes nothing and lets every
// frame pass to the next program.
//
// No header is included: what is used of the kernel's user interface
// (include/uapi/linux/bpf.h) is declared below. No helper needs a GPL licence.

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef int s32;
typedef unsigned long long u64;

#define SEC(name) __attribute__((section(name), used))
#define INLINE static inline __attribute__((always_inline))
// PART is verified once and by itself, not along every way that leads to it.
#define PART __attribute__((noinline))

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define net16(x) ((u16)__builtin_bswap16((u16)(x)))
#define net32(x) ((u32)__builtin_bswap32((u32)(x)))
#else
#define net16(x) ((u16)(x))
#define net32(x) ((u32)(x))
#endif

// Helper numbers: enum bpf_func_id.
static void *(*const map_lookup)(void *map, const void *key) = (void *)1;
static long (*const map_update)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static long (*const skb_load_bytes)(const void *skb, u32 offset, void *to, u32 len) = (void *)26;
static u64 (*const jiffies64)(void) = (void *)118;
static u64 (*const ktime_get_boot_ns)(void) = (void *)125;

// The first members of struct __sk_buff, up to the last that is read.
struct __sk_buff {
	u32 len;
	u32 pkt_type;
	u32 mark;
	u32 queue_mapping;
	u32 protocol;
	u32 vlan_present;
	u32 vlan_tci;
	u32 vlan_proto;
	u32 priority;
	u32 ingress_ifindex;
	u32 ifindex;
	u32 tc_index;
	u32 cb[5];
	u32 hash;
	u32 tc_classid;
	u32 data;
	u32 data_end;
	u32 napi_id;
	u32 family;
	u32 remote_ip4;
	u32 local_ip4;
	u32 remote_ip6[4];
	u32 local_ip6[4];
	u32 remote_port;
	u32 local_port;
	u32 data_meta;
	u64 flow_keys;
	u64 tstamp;
	u32 wire_len;
	u32 gso_segs;
	u64 sk;
	u32 gso_size;
};

enum {
	tcx_next = -1,	     // enum tcx_action_base
	packet_loopback = 5, // PACKET_LOOPBACK, include/uapi/linux/if_packet.h
	map_hash = 1,	     // enum bpf_map_type
	map_percpu_array = 6,
	map_lru_hash = 9,
	no_exist = 1, // BPF_NOEXIST
	no_prealloc = 1, // BPF_F_NO_PREALLOC
};

// What is known of the interface before the program is loaded.
const volatile u8 no_link_header; // frames begin with the IP header
// Which giants the kernel cuts itself before a packet socket sees them.
const volatile u8 cut_tcp4, cut_tcp6, cut_udp;

// Bounds of the walk through a frame's headers; package wire has the same.
enum { max_tags = 16, max_extensions = 64, max_offset = 0xff00 };

// The keys. The ends are in the order of their addresses and ports; an ICMP
// message that has no answer keeps its sender in a. There is a map for each IP
// version: an element of the first is two cache lines, the kernel's part and
// the key in one, the count in the other.
struct conversation4 {
	u32 a, b;
	u16 port_a, port_b;
	u8 proto;
	u8 pad[3];
};

struct conversation6 {
	u64 a[2], b[2];
	u16 port_a, port_b;
	u8 proto;
	u8 pad[3];
};

// Marks of a count beside the TCP flags that came from a (bits 0-7) and from
// b (bits 8-15).
enum { syn_a = 1 << 16, syn_b = 1 << 17, synack_a = 1 << 18, synack_b = 1 << 19 };

enum { vlan_known = 0x8000 };

struct count {
	u64 packets[2], bytes[2]; // 0: from a, 1: from b
	u64 first, last;	  // CLOCK_BOOTTIME, nanoseconds; last within a tick
	u32 marks;
	u16 vlan; // of the first frame
	u8 first_flags, first_from_b;
	u64 pad; // to a cache line
};

// piece is the key under which the ports of a fragmented packet are kept.
struct piece {
	u64 src[2], dst[2];
	u32 id;
	u8 proto, ipv6; // proto for IPv4 only: RFC 8200 section 4.5 names none
	u16 pad;
};

struct ports {
	u64 seen;
	u16 src, dst;
	u8 proto, one_way;
	u16 pad;
};

struct totals {
	u64 packets, bytes;
	u64 undecoded, other, wrapped, portless;
	u64 fragments, orphans;
	u64 dropped, dropped_bytes;
	u64 giants, segments;
	u64 tunnels;
	u64 tick, now; // the clock, read once a tick
};

struct {
	u32 (*type)[map_hash];
	struct conversation4 *key;
	struct count *value;
	u32 (*max_entries)[1024];
} flows4 SEC(".maps");

struct {
	u32 (*type)[map_hash];
	struct conversation6 *key;
	struct count *value;
	u32 (*max_entries)[1024];
	u32 (*map_flags)[no_prealloc];
} flows6 SEC(".maps");

struct {
	u32 (*type)[map_lru_hash];
	struct piece *key;
	struct ports *value;
	u32 (*max_entries)[8192];
} pieces SEC(".maps");

struct {
	u32 (*type)[map_percpu_array];
	u32 *key;
	struct totals *value;
	u32 (*max_entries)[1];
} stats SEC(".maps");

// walk is where the reading of a frame stands.
struct walk {
	u64 src[2], dst[2]; // of IPv4 only the first u32
	u32 at;	     // offset of the next header
	u32 end;     // what lies behind is not there, or not the packet's
	u32 claimed; // where the packet ends by its own length
	u32 id;
	u16 vlan;
	u16 src_port, dst_port;
	u8 proto, piece_proto, ipv6;
	u8 first_piece, later_piece, one_way;
	u8 flags, has_tcp;
};

// TAKE copies words (u32) or halves (u16) from a frame: straight from its
// linear part, else by the helper that knows paged parts. False: not there.
#define TAKE(type)                                                                         \
	INLINE int take_##type(struct __sk_buff *skb, u32 at, u32 end, type *to, u32 n)    \
	{                                                                                  \
		if (at > max_offset || at + n * sizeof(type) > end)                        \
			return 0;                                                          \
		type *from = (void *)(long)skb->data + at;                                 \
		asm volatile("" : "+r"(from)); /* checked and read as one pointer */       \
		if ((void *)(from + n) > (void *)(long)skb->data_end)                      \
			return skb_load_bytes(skb, at, to, n * sizeof(type)) == 0;         \
		_Pragma("unroll") for (u32 i = 0; i < n; i++) to[i] = from[i];             \
		return 1;                                                                  \
	}

TAKE(u32)
TAKE(u16)
TAKE(u8)

// tag_length is how long the tag is that a type announces, the type at its end
// included; 0: no tag.
INLINE u32 tag_length(struct __sk_buff *skb, const struct walk *w, u16 type)
{
	u8 control[1];

	switch (type) {
	case 0x8100: // 802.1Q
	case 0x88a8: // 802.1ad
	case 0x9100: // 802.1ad as it was before the standard
		return 4;
	case 0x8926: // VN-tag
	case 0xf1c1: // 802.1CB
		return 6;
	case 0x893f: // 802.1BR
	case 0x8909: // Cisco metadata
		return 8;
	case 0x88e7: // 802.1ah, with the customer's addresses
		return 18;
	case 0x88e5: // 802.1AE, 9.3: encrypted, or changed, or with an identifier
		if (!take_u8(skb, w->at, w->end, control, 1) || control[0] & 0x0c)
			return 0;
		return control[0] & 0x20 ? 16 : 8;
	}
	return 0;
}

// llc gives the type behind an IEEE 802.2 header: IP has its own service
// access point (RFC 948) or is behind SNAP (RFC 1042, 802.1H). 0: no IP; -1:
// cut.
INLINE int llc(struct __sk_buff *skb, struct walk *w)
{
	u8 h[5];

	if (!take_u8(skb, w->at, w->end, h, 3))
		return -1;
	w->at += 3;
	if (h[0] == 0x06 && h[1] == 0x06 && h[2] == 0x03)
		return 0x0800;
	if (h[0] != 0xaa || h[1] != 0xaa || h[2] != 0x03)
		return 0;
	if (!take_u8(skb, w->at, w->end, h, 5))
		return -1;
	w->at += 5;
	u32 organisation = h[0] << 16 | h[1] << 8 | h[2], type = h[3] << 8 | h[4];
	return (organisation == 0 || organisation == 0xf8) && type >= 0x600 ? type : 0;
}

// tags gives the type behind a frame's tags; -1 where that is cut.
PART int tags(struct __sk_buff *skb, struct walk *w)
{
	u16 tag[1], next[1];

	if (!w || !take_u16(skb, 12, w->end, next, 1))
		return -1;
	for (int i = 0; i <= max_tags; i++) {
		u16 type = net16(next[0]);
		u32 length = tag_length(skb, w, type);
		if (!length)
			return type < 0x600 ? llc(skb, w) : type;
		if (!take_u16(skb, w->at, w->end, tag, 1) || !take_u16(skb, w->at + length - 2, w->end, next, 1))
			return -1;
		if (!w->vlan && length == 4)
			w->vlan = vlan_known | (net16(tag[0]) & 0xfff);
		w->at += length;
	}
	return -1;
}

// ethernet gives the type of what the frame carries; -1 where that is cut.
INLINE int ethernet(struct __sk_buff *skb, struct walk *w)
{
	u16 type[1];

	w->at = 14;
	if (take_u16(skb, 12, w->end, type, 1) && (type[0] == net16(0x0800) || type[0] == net16(0x86dd)))
		return net16(type[0]);
	return tags(skb, w);
}

// bare gives the type by the IP version; -1 where that is cut or impossible.
PART int bare(struct __sk_buff *skb, struct walk *w)
{
	u8 version[1];

	if (!w || !take_u8(skb, 0, w->end, version, 1))
		return -1;
	return version[0] >> 4 == 4 ? 0x0800 : version[0] >> 4 == 6 ? 0x86dd : -1;
}

// claim notes where a packet ends by its own length.
INLINE void claim(struct walk *w, u32 end)
{
	w->claimed = end;
	if (end < w->end)
		w->end = end;
}

INLINE int ipv4(struct __sk_buff *skb, struct walk *w)
{
	u32 h[5];

	if (!take_u32(skb, w->at, w->end, h, 5))
		return 0;
	u32 first = net32(h[0]), fragment = net32(h[1]);
	u32 header = (first >> 24 & 15) * 4, total = first & 0xffff;
	if (first >> 28 != 4 || header < 20)
		return 0;
	if (!total) // segmented by the device
		total = w->end - w->at;
	if (total < header)
		return 0;
	claim(w, w->at + total);
	w->at += header;
	w->proto = w->piece_proto = net32(h[2]) >> 16;
	w->id = fragment >> 16;
	w->later_piece = (fragment & 0x1fff) != 0;
	w->first_piece = (fragment & 0x3fff) == 0x2000;
	*(u32 *)w->src = h[3];
	*(u32 *)w->dst = h[4];
	return 1;
}

INLINE int is_extension(const struct walk *w)
{
	switch (w->proto) {
	case 51: // authentication
		return 1;
	case 0: // hop-by-hop options
	case 43: // routing
	case 44: // fragment
	case 60: // destination options
	case 135: // mobility
	case 139: // host identity
	case 140: // shim6
		return w->ipv6;
	}
	return 0;
}

// is_message: extension headers that may be what the packet is for.
INLINE int is_message(u8 proto)
{
	return proto == 135 || proto == 139 || proto == 140;
}

INLINE void fragment6(struct walk *w, u32 place, u32 id)
{
	if (!(place & 0xfff9)) // whole: RFC 6946
		return;
	w->id = id;
	w->later_piece = (place & 0xfff8) != 0;
	w->first_piece = !w->later_piece;
}

// The answers of extension.
enum { stop, go_on, no_transport };

// extension steps over one extension header.
PART int extension(struct __sk_buff *skb, struct walk *w)
{
	u32 h[2];

	if (!w || !is_extension(w))
		return stop;
	if (!take_u32(skb, w->at, w->end, h, 2))
		return no_transport;
	u8 next = net32(h[0]) >> 24, units = net32(h[0]) >> 16;
	u32 size = w->proto == 44 ? 8 : w->proto == 51 ? (units + 2) * 4 : (units + 1) * 8;
	if (w->at + size > w->claimed)
		return no_transport;
	if (w->proto == 44)
		fragment6(w, net32(h[0]), net32(h[1]));
	if (next == 59 && is_message(w->proto))
		return stop;
	w->proto = next;
	w->at += size;
	return w->later_piece ? stop : go_on;
}

// extensions steps over all. False: what is behind cannot be read.
INLINE int extensions(struct __sk_buff *skb, struct walk *w)
{
	for (int i = 0; i < max_extensions; i++) {
		int answer = extension(skb, w);
		if (answer != go_on)
			return answer == stop;
	}
	return !is_extension(w);
}

INLINE int ipv6(struct __sk_buff *skb, struct walk *w)
{
	u32 h[10];

	if (!take_u32(skb, w->at, w->end, h, 10))
		return 0;
	if (net32(h[0]) >> 28 != 6)
		return 0;
	u32 payload = net32(h[1]) >> 16, rest = w->end - w->at - 40;
	w->proto = net32(h[1]) >> 8;
	w->at += 40;
	// 0: nothing (what is there is Ethernet's padding), a jumbogram, or
	// segmented by the device.
	if (!payload && w->proto != 59 && rest >= 8)
		payload = rest;
	claim(w, w->at + payload);
	w->ipv6 = 1;
	#pragma unroll
	for (int i = 0; i < 4; i++) {
		((u32 *)w->src)[i] = h[2 + i];
		((u32 *)w->dst)[i] = h[6 + i];
	}
	return 1;
}

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
	if (w->proto == 6 || w->proto == 17) // TCP, UDP
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
#define RECORD(map, key)                                                                      	do {                                                                                  		struct count one, *known = map_lookup(map, key);                              		if (!known) {                                                                 			begin(&one, w, from_b, packets, bytes);                               			if (map_update(map, key, &one, no_exist) == 0)                        				return;                                                       			/* Made by another processor meanwhile, or there is no room. */       			known = map_lookup(map, key);                                         		}                                                                             		if (known) {                                                                  			add(known, w, from_b, t->now, packets, bytes);                        		} else {                                                                      			t->dropped += packets;                                                			t->dropped_bytes += bytes;                                            		}                                                                             	} while (0)

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
	if (segments == 1)
		;
	else if (segments > 1 && ((w->proto == 6 && (w->ipv6 ? cut_tcp6 : cut_tcp4)) || (w->proto == 17 && cut_udp))) {
		*packets = segments;
		*bytes = skb->wire_len;
	} else {
		t->giants++;
		t->segments += segments;
	}
	if (skb->vlan_present) // was in the frame, is not in its length
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
	if (!ip)
		t->undecoded++;
	return ip;
}

// conversed says whether the packet belongs to a conversation that is known.
INLINE int conversed(struct __sk_buff *skb, struct totals *t, struct walk *w)
{
	int readable = 1;

	if (!w->later_piece && is_extension(w))
		readable = extensions(skb, w);
	if (w->later_piece) {
		t->fragments++;
		readable = join(w);
		if (!readable)
			t->orphans++;
	} else {
		readable = readable ? transport(skb, w) : !has_ports(w->proto);
		if (!readable)
			t->portless++;
		else if (w->first_piece)
			join(w);
	}
	if (tunnel(w))
		t->tunnels++;
	return readable;
}

SEC("tcx/ingress")
int meter(struct __sk_buff *skb)
{
	struct walk w = { .end = skb->len };
	u64 packets, bytes, tick = jiffies64();
	u32 zero = 0;

	if (skb->pkt_type == packet_loopback)
		return tcx_next;
	struct totals *t = map_lookup(&stats, &zero);
	if (!t)
		return tcx_next;
	if (t->tick != tick) {
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
