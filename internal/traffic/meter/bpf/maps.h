// SPDX-License-Identifier: MIT OR GPL-2.0-only
//
// The maps, which read_linux.go reads.

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
