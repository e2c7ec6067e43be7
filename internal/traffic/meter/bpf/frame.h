// SPDX-License-Identifier: MIT OR GPL-2.0-only
//
// From the link header to behind the IP headers, as package wire reads them.

// What is known of the interface before the program is loaded.
const volatile u8 no_link_header; // frames begin with the IP header
// Which giants the kernel cuts itself before a packet socket sees them.
const volatile u8 cut_tcp4, cut_tcp6, cut_udp;

// Bounds of the walk through a frame's headers; package wire has the same.
enum { max_tags = 16, max_extensions = 64, max_offset = 0xff00 };

// walk is where the reading of a frame stands.
struct walk {
	u64 src[2], dst[2]; // of IPv4 only the first u32
	u32 at;	     // offset of the next header
	u32 end;     // what lies behind is not there, or not the packet's
	u32 claimed; // where the packet ends by its own length
	u32 id;
	u16 type, vlan;
	u16 src_port, dst_port;
	u8 cut, proto, piece_proto, ipv6;
	u8 first_piece, later_piece, one_way;
	u8 flags, has_tcp;
};

// TAKE copies words (u32) or halves (u16) from a frame: straight from its
// linear part, else by the helper that knows paged parts. False: not there.
#define TAKE(type)                                                                         \
	INLINE int take_##type(struct __sk_buff *skb, u32 at, u32 end, type *to, u32 n)    \
	{                                                                                  \
		if (unlikely(at > max_offset || at + n * sizeof(type) > end))              \
			return 0;                                                          \
		type *from = (void *)(long)skb->data + at;                                 \
		asm volatile("" : "+r"(from)); /* checked and read as one pointer */       \
		if (unlikely((void *)(from + n) > (void *)(long)skb->data_end))            \
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
PART int llc(struct __sk_buff *skb, struct walk *w)
{
	u8 h[5];

	if (!w || !take_u8(skb, w->at, w->end, h, 3))
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

// tag steps over one tag. False: there is none, or it is cut.
PART int tag(struct __sk_buff *skb, struct walk *w)
{
	u16 control[1], type[1];

	if (!w)
		return 0;
	u32 length = tag_length(skb, w, w->type);
	if (!length)
		return 0;
	if (!take_u16(skb, w->at, w->end, control, 1) || !take_u16(skb, w->at + length - 2, w->end, type, 1)) {
		w->cut = 1;
		return 0;
	}
	if (!w->vlan && length == 4)
		w->vlan = vlan_known | (net16(control[0]) & 0xfff);
	w->type = net16(type[0]);
	w->at += length;
	return 1;
}

// tags gives the type behind a frame's tags; -1 where that is cut.
INLINE int tags(struct __sk_buff *skb, struct walk *w)
{
	for (int i = 0; i <= max_tags; i++) {
		if (tag(skb, w))
			continue;
		if (w->cut)
			return -1;
		return w->type < 0x600 ? llc(skb, w) : w->type;
	}
	return -1;
}

// ethernet gives the type of what the frame carries; -1 where that is cut.
INLINE int ethernet(struct __sk_buff *skb, struct walk *w)
{
	u16 type[1];

	if (!take_u16(skb, 12, w->end, type, 1))
		return -1;
	w->at = 14;
	w->type = net16(type[0]);
	if (likely(w->type == 0x0800 || w->type == 0x86dd))
		return w->type;
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
