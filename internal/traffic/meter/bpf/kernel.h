// SPDX-License-Identifier: MIT OR GPL-2.0-only
//
// What is used of the kernel's user interface (include/uapi/linux/bpf.h), and of
// the compiler's. No helper needs a GPL licence.

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef int s32;
typedef unsigned long long u64;

#define SEC(name) __attribute__((section(name), used))
#define INLINE static inline __attribute__((always_inline))
// PART is verified once and by itself, not along every way that leads to it.
#define PART __attribute__((noinline))

// What nearly all frames are goes straight through the code.
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

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
