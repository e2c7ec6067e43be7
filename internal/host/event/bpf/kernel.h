// SPDX-License-Identifier: MIT OR GPL-2.0-only
//
// What listeners.c needs of the kernel: helpers, structures with only the
// members that are read, and values. No header of the kernel is included.

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define SEC(name) __attribute__((section(name), used))
#define INLINE static inline __attribute__((always_inline))
#define MAP_UINT(name, value) int (*name)[value]

// Helper numbers: enum bpf_func_id, include/uapi/linux/bpf.h.
static void *(*const map_lookup)(void *map, const void *key) = (void *)1;
static long (*const map_update)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static long (*const map_delete)(void *map, const void *key) = (void *)3;
static u64 (*const current_task)(void) = (void *)35;
static u64 (*const socket_cookie)(void *sk) = (void *)46;
static u64 (*const current_cgroup)(void) = (void *)80;
static long (*const probe_read_user)(void *dst, u32 size, const void *src) = (void *)112;
static long (*const probe_read_kernel)(void *dst, u32 size, const void *src) = (void *)113;
static long (*const probe_read_kernel_str)(void *dst, u32 size, const void *src) = (void *)115;
static u64 (*const boot_time)(void) = (void *)125;
static long (*const ringbuf_output)(void *ring, void *data, u64 size, u64 flags) = (void *)130;

#define READ(out, place) probe_read_kernel(&(out), sizeof(out), &(place))

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct ns_common {
	u32 inum;
};

struct net {
	struct ns_common ns;
};

struct mnt_namespace {
	struct ns_common ns;
};

struct pid_namespace {
	struct ns_common ns;
};

struct upid {
	int nr;
	struct pid_namespace *ns;
};

struct pid {
	u32 level;
	struct upid numbers[1];
};

struct nsproxy {
	struct mnt_namespace *mnt_ns;
};

typedef struct {
	u32 val;
} kuid_t;

struct cred {
	kuid_t euid;
};

struct qstr {
	const u8 *name;
};

struct hlist_bl_node {
	void *pprev;
};

struct super_block {
	u32 s_dev;
};

struct inode {
	unsigned long i_ino;
	struct super_block *i_sb;
};

struct dentry {
	struct hlist_bl_node d_hash;
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
};

struct vfsmount {
	struct dentry *mnt_root;
};

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct file {
	struct path f_path;
};

struct mm_struct {
	struct file *exe_file;
	unsigned long arg_start, arg_end;
};

struct task_struct {
	struct task_struct *group_leader;
	struct pid *thread_pid;
	struct mm_struct *mm;
	struct nsproxy *nsproxy;
	const struct cred *cred;
	u64 start_boottime;
	char comm[16];
};

typedef struct {
	struct net *net;
} possible_net_t;

struct in6_addr {
	u8 bytes[16];
};

struct sock_common {
	u16 skc_family;
	u16 skc_num;
	volatile u8 skc_state;
	u8 skc_ipv6only : 1;
	int skc_bound_dev_if;
	u32 skc_rcv_saddr;
	struct in6_addr skc_v6_rcv_saddr;
	possible_net_t skc_net;
	struct {
		u64 counter;
	} skc_cookie;
};

struct socket {
	struct sock *sk;
};

struct socket_alloc {
	struct socket socket;
	struct inode vfs_inode;
};

struct sock {
	struct sock_common __sk_common;
	u16 sk_type;
	u16 sk_protocol;
	u8 sk_userlocks : 4;
	u8 sk_kern_sock : 1;
	struct socket *sk_socket;
	kuid_t sk_uid;
};

struct inet_sock {
	struct sock sk;
	u16 inet_sport;
};

struct tcp_ulp_ops {
	char name[16];
};

struct inet_connection_sock {
	const struct tcp_ulp_ops *icsk_ulp_ops;
};

#pragma clang attribute pop

// The contexts of cgroup programs (include/uapi/linux/bpf.h); the kernel
// rewrites each access.
struct bpf_sock {
	u32 bound_dev_if, family, type, protocol;
};

struct bpf_sock_addr {
	u32 user_family, user_ip4, user_ip6[4], user_port, family, type, protocol, msg_src_ip4, msg_src_ip6[4];
	struct bpf_sock *sk __attribute__((aligned(8)));
};

struct bpf_sock_ops {
	u32 op, args[4], family, remote_ip4, local_ip4, remote_ip6[4], local_ip6[4], remote_port, local_port;
	u32 is_fullsock, snd_cwnd, srtt_us, flags, state, rtt_min, snd_ssthresh, rcv_nxt, snd_nxt, snd_una;
	u32 mss_cache, ecn_flags, rate_delivered, rate_interval_us, packets_out, retrans_out, total_retrans;
	u32 segs_in, data_segs_in, segs_out, data_segs_out, lost_out, sacked_out, sk_txhash;
	u64 bytes_received, bytes_acked;
	struct bpf_sock *sk;
};

// Values of include/linux/socket.h, include/uapi/linux/in.h, net/sock.h and
// net/tcp_states.h; none has changed since it was given.
enum {
	family_inet = 2,
	family_inet6 = 10,
	type_dgram = 2,
	proto_tcp = 6,
	proto_udp = 17,
	proto_udplite = 136,
	proto_mptcp = 262,
	lock_addr = 4,
	lock_port = 8,
	state_established = 1,
	state_listen = 10,
	sock_ops_listen = 11, // BPF_SOCK_OPS_TCP_LISTEN_CB, include/uapi/linux/bpf.h
};

// Kinds of __builtin_preserve_field_info (enum bpf_field_info_kind of the
// compiler's CO-RE support).
enum {
	field_byte_offset = 0,
	field_byte_size = 1,
	field_lshift = 4,
	field_rshift = 5,
};

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define PLACE(value, size) (&(value))
#define SWAP16(n) __builtin_bswap16(n)
#else
#define PLACE(value, size) ((void *)&(value) + (8 - (size)))
#define SWAP16(n) (n)
#endif

// BITS reads an unsigned bit field.
#define BITS(out, ptr, field)                                                              \
	do {                                                                               \
		u64 raw = 0;                                                               \
		u32 size = __builtin_preserve_field_info((ptr)->field, field_byte_size);   \
		probe_read_kernel(PLACE(raw, size), size,                                  \
				  (void *)(ptr) + __builtin_preserve_field_info(           \
							  (ptr)->field, field_byte_offset)); \
		raw <<= __builtin_preserve_field_info((ptr)->field, field_lshift);         \
		raw >>= __builtin_preserve_field_info((ptr)->field, field_rshift);         \
		(out) = raw;                                                               \
	} while (0)
