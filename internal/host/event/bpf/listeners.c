// SPDX-License-Identifier: MIT OR GPL-2.0-only
//
// Writes one record into a ring buffer whenever a socket begins or ceases to
// be a listener: TCP, MPTCP, SCTP and DCCP by their state, UDP and UDP-Lite
// by bind, connect and release, which programs at the root of the
// cgroup tree are asked about. With it goes what is known of the task that
// did it: a listener may live no longer than it takes to wake a reader.
//
// No header is included: the structures below name only the members that are
// read, and CO-RE finds them in the running kernel (Linux 5.8 and later).

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

// Values of record.go.
enum {
	kind_opened = 1,
	kind_closed = 2,
	kind_connecting = 3,
	flag_v6only = 1,
	flag_kernel = 2,
	flag_deleted = 4,
	flag_connected = 8,
	flag_cut = 16, // the path lacks its beginning
	flag_named = 32, // the port was named though the socket does not say so yet
	flag_cut_args = 64,
};

enum {
	args_max = 256,
	piece_max = 256,
	data_max = 1024, // where a piece may begin
	depth_max = 40,
	level_max = 33, // MAX_PID_NS_LEVEL, include/linux/pid_namespace.h
};

struct record {
	u64 time;    // since boot, ns
	u64 cookie;  // 0 where the kernel gave it none yet
	u64 address; // of the kernel's structure: names the socket where the cookie does not
	u64 inode;
	u64 started; // since boot, ns
	u64 cgroup;
	u64 exe_ino;
	u32 exe_dev;
	u32 pad;
	u32 netns, mntns;
	u32 pid, uid;
	u32 sock_uid, ifindex;
	u16 protocol, family, port;
	u16 args_len, exe_len; // of data
	u8 kind, flags;
	u8 locks;
	u8 pad2[3];
	u8 addr[16];
	char comm[16];
	// The arguments, then the names of the path from the last to the first,
	// each ended by a zero byte.
	u8 data[data_max + piece_max];
};

enum { head = __builtin_offsetof(struct record, data) };

// Set before loading.
const volatile u32 own_pidns;  // processes are numbered as in it
const volatile u32 only_netns; // 0: every namespace
const volatile u8 has_cookie;  // this kernel gives tracing programs a cookie

u64 lost = 0;

struct {
	MAP_UINT(type, 27); // BPF_MAP_TYPE_RINGBUF
	MAP_UINT(max_entries, 4 << 20);
} ring SEC(".maps");

// Every program has a buffer of its own: it may be preempted by another one,
// and never by itself.
enum { buffers = 8 };

struct {
	MAP_UINT(type, 6); // BPF_MAP_TYPE_PERCPU_ARRAY
	u32 *key;
	struct record *value;
	MAP_UINT(max_entries, buffers);
} scratch SEC(".maps");

// named are the sockets whose port a program just asked for by number.
struct {
	MAP_UINT(type, 9); // BPF_MAP_TYPE_LRU_HASH
	u64 *key;
	u8 *value;
	MAP_UINT(max_entries, 4096);
} named SEC(".maps");

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

INLINE u16 port_of(struct sock *sk)
{
	u16 port = 0;

	READ(port, sk->__sk_common.skc_num);
	if (port)
		return port;
	// The kernel gives the port back before it tells of the new state.
	READ(port, ((struct inet_sock *)sk)->inet_sport);
	return SWAP16(port);
}

INLINE void describe_socket(struct record *r, struct sock *sk)
{
	struct socket *socket = 0;
	struct net *net = 0;
	unsigned long ino = 0;
	u8 bits = 0, state = 0;

	r->address = (u64)sk;
	READ(r->family, sk->__sk_common.skc_family);
	READ(r->protocol, sk->sk_protocol);
	READ(r->ifindex, sk->__sk_common.skc_bound_dev_if);
	READ(r->sock_uid, sk->sk_uid.val);
	READ(net, sk->__sk_common.skc_net.net);
	if (net)
		READ(r->netns, net->ns.inum);
	READ(socket, sk->sk_socket);
	if (socket)
		READ(ino, ((struct socket_alloc *)socket)->vfs_inode.i_ino);
	r->inode = ino;
	r->port = port_of(sk);
	if (r->family == family_inet6)
		probe_read_kernel(r->addr, 16, &sk->__sk_common.skc_v6_rcv_saddr);
	else
		probe_read_kernel(r->addr, 4, &sk->__sk_common.skc_rcv_saddr);
	BITS(bits, &sk->__sk_common, skc_ipv6only);
	if (bits)
		r->flags |= flag_v6only;
	BITS(bits, sk, sk_kern_sock);
	if (bits)
		r->flags |= flag_kernel;
	BITS(bits, sk, sk_userlocks);
	r->locks = bits;
	READ(state, *(u8 *)&sk->__sk_common.skc_state);
	if (state == state_established)
		r->flags |= flag_connected;
}

// number is the process's number in the reader's PID namespace; 0 when it
// lives outside of it.
INLINE u32 number(struct task_struct *leader)
{
	u64 size = __builtin_preserve_type_info(*(struct upid *)0, 1);
	struct pid *pid = 0;
	u32 level = 0;

	READ(pid, leader->thread_pid);
	if (!pid)
		return 0;
	READ(level, pid->level);
#pragma clang loop unroll(disable)
	for (u32 i = 0; i < level_max; i++) {
		struct pid_namespace *ns = 0;
		u32 inum = 0, nr = 0;

		if (i > level)
			break;
		probe_read_kernel(&ns, sizeof(ns), (void *)&pid->numbers[0].ns + i * size);
		READ(inum, ns->ns.inum);
		if (inum != own_pidns)
			continue;
		probe_read_kernel(&nr, sizeof(nr), (void *)&pid->numbers[0].nr + i * size);
		return nr;
	}
	return 0;
}

// path writes the names of a path behind the arguments, from the last to the
// first, across mounts to the top of the mount namespace. How far it came is
// kept in the record alone: the verifier need not follow it.
INLINE void path(struct record *r, struct file *file)
{
	volatile u16 *len = &r->exe_len;
	struct dentry *dentry = 0, *root, *up;
	struct vfsmount *mnt = 0;
	struct mount *mount, *parent;
	struct super_block *sb = 0;
	struct inode *inode = 0;
	unsigned long ino = 0;
	void *pprev = 0;
	const u8 *name;
	u64 off;
	long n;

	READ(dentry, file->f_path.dentry);
	READ(mnt, file->f_path.mnt);
	if (!dentry || !mnt)
		return;
	READ(inode, dentry->d_inode);
	if (inode) {
		READ(ino, inode->i_ino);
		READ(sb, inode->i_sb);
	}
	if (sb)
		READ(r->exe_dev, sb->s_dev);
	r->exe_ino = ino;
	READ(pprev, dentry->d_hash.pprev);
	if (!pprev)
		r->flags |= flag_deleted;
#pragma clang loop unroll(disable)
	for (int i = 0; i < depth_max; i++) {
		root = up = 0;
		READ(root, mnt->mnt_root);
		READ(up, dentry->d_parent);
		if (dentry == root) {
			parent = 0;
			mount = (void *)mnt - (u64)&((struct mount *)0)->mnt;
			READ(parent, mount->mnt_parent);
			if (!parent || parent == mount)
				return;
			READ(dentry, mount->mnt_mountpoint);
			mnt = (void *)parent + (u64)&((struct mount *)0)->mnt;
			continue;
		}
		name = 0;
		READ(name, dentry->d_name.name);
		off = *len + r->args_len;
		if (off >= data_max)
			break;
		n = probe_read_kernel_str(&r->data[off], piece_max, name);
		if (n <= 0)
			break;
		*len += n;
		if (up == dentry || !up)
			return; // of no directory: a file in memory
		dentry = up;
	}
	r->flags |= flag_cut;
}

INLINE void describe_memory(struct record *r, struct mm_struct *mm)
{
	unsigned long start = 0, end = 0;
	struct file *exe = 0;
	u64 len;

	READ(start, mm->arg_start);
	READ(end, mm->arg_end);
	len = end - start;
	if (len > args_max) {
		len = args_max;
		r->flags |= flag_cut_args;
	}
	if (end > start && !probe_read_user(r->data, len, (void *)start))
		r->args_len = len;
	READ(exe, mm->exe_file);
	if (exe)
		path(r, exe);
}

INLINE void describe_task(struct record *r, int whole)
{
	struct task_struct *task = (void *)current_task();
	struct task_struct *leader = 0;
	struct mnt_namespace *mntns = 0;
	struct nsproxy *proxy = 0;
	struct mm_struct *mm = 0;
	struct cred *cred = 0;

	READ(leader, task->group_leader);
	if (!leader)
		return;
	READ(r->started, leader->start_boottime);
	READ(r->comm, leader->comm);
	r->pid = number(leader);
	r->cgroup = current_cgroup();
	READ(cred, task->cred);
	if (cred)
		READ(r->uid, cred->euid.val);
	READ(proxy, task->nsproxy);
	if (proxy)
		READ(mntns, proxy->mnt_ns);
	if (mntns)
		READ(r->mntns, mntns->ns.inum);
	READ(mm, task->mm);
	if (mm && whole)
		describe_memory(r, mm);
}

INLINE struct record *begin(u32 buffer, struct sock *sk)
{
	struct record *r = map_lookup(&scratch, &buffer);

	if (!r)
		return 0;
	__builtin_memset(r, 0, head);
	describe_socket(r, sk);
	if (only_netns && r->netns != only_netns)
		return 0;
	return r;
}

INLINE void finish(struct record *r, u8 kind)
{
	u64 size;

	r->kind = kind;
	r->time = boot_time();
	describe_task(r, kind == kind_opened);
	size = (u64)r->args_len + r->exe_len;
	if (size > data_max + piece_max)
		return;
	if (ringbuf_output(&ring, r, head + size, 0))
		__sync_fetch_and_add(&lost, 1);
}

// plain forgets what the verifier knows of a pointer, since it lets no program
// compute with those to sockets.
INLINE struct sock *plain(u32 buffer, void *sk)
{
	struct record *r = map_lookup(&scratch, &buffer);

	if (!r)
		return 0;
	*(void *volatile *)&r->address = sk;
	return (struct sock *)*(volatile u64 *)&r->address;
}

INLINE void identify(struct record *r, struct sock *sk)
{
	if (has_cookie)
		r->cookie = socket_cookie(sk);
	else
		READ(r->cookie, sk->__sk_common.skc_cookie.counter);
}

// subflow tells a TCP socket that an MPTCP socket listens by.
INLINE int subflow(struct sock *sk)
{
	const struct tcp_ulp_ops *ops = 0;
	char name[8] = {};

	READ(ops, ((struct inet_connection_sock *)sk)->icsk_ulp_ops);
	if (!ops)
		return 0;
	probe_read_kernel(name, 6, ops->name);
	return name[0] == 'm' && name[1] == 'p' && name[2] == 't' && name[3] == 'c' && name[4] == 'p' && !name[5];
}

INLINE int tell(u32 buffer, struct sock *sk, u8 kind)
{
	struct record *r = begin(buffer, sk);

	if (!r || (r->family != family_inet && r->family != family_inet6))
		return 0;
	if (r->protocol == proto_tcp && r->flags & flag_kernel && subflow(sk))
		return 0;
	identify(r, sk);
	finish(r, kind);
	return 0;
}

SEC("tp_btf/inet_sock_set_state") int state_changed(u64 *ctx)
{
	struct sock *sk = (void *)ctx[0];
	int before = ctx[1], after = ctx[2];

	if (before == after)
		return 0;
	if (before == state_listen)
		return tell(0, sk, kind_closed);
	if (after != state_listen)
		return 0;
	// A TCP socket that was never bound gets its port a moment later.
	if (sk->sk_protocol == proto_tcp && !sk->__sk_common.skc_num)
		return 0;
	return tell(1, sk, kind_opened);
}

// listens is asked once a TCP socket listens, with the port that the kernel
// gave to one that was never bound. One that was is told twice; the reader
// knows it by its cookie.
SEC("sockops") int listens(struct bpf_sock_ops *ctx)
{
	struct bpf_sock *socket;
	struct record *r;
	u64 cookie;

	if (ctx->op != sock_ops_listen)
		return 1;
	socket = ctx->sk;
	if (!socket)
		return 1;
	cookie = socket_cookie(ctx);
	r = begin(2, plain(2, socket));
	if (!r || r->locks & lock_port || r->flags & flag_kernel)
		return 1;
	r->cookie = cookie;
	finish(r, kind_opened);
	return 1;
}

INLINE int is_datagram(u32 protocol)
{
	return protocol == proto_udp || protocol == proto_udplite;
}

// asked notes a bind that names a port: after it the kernel has not written
// that down yet when it asks the next program.
INLINE int asked(struct bpf_sock_addr *ctx)
{
	u64 cookie;
	u8 yes = 1;

	if (!is_datagram(ctx->protocol) || !ctx->user_port)
		return 1;
	cookie = socket_cookie(ctx);
	map_update(&named, &cookie, &yes, 0);
	return 1;
}

SEC("cgroup/bind4") int asked4(struct bpf_sock_addr *ctx)
{
	return asked(ctx);
}

SEC("cgroup/bind6") int asked6(struct bpf_sock_addr *ctx)
{
	return asked(ctx);
}

// granted: the context of these programs is the socket itself.
INLINE int granted(u32 buffer, struct bpf_sock *ctx)
{
	struct record *r;
	u64 cookie;

	if (!is_datagram(ctx->protocol))
		return 1;
	cookie = socket_cookie(ctx);
	r = begin(buffer, (struct sock *)ctx);
	if (!r)
		return 1;
	r->cookie = cookie;
	if (map_lookup(&named, &cookie)) {
		r->flags |= flag_named;
		map_delete(&named, &cookie);
	}
	finish(r, kind_opened);
	return 1;
}

SEC("cgroup/post_bind4") int granted4(struct bpf_sock *ctx)
{
	return granted(5, ctx);
}

SEC("cgroup/post_bind6") int granted6(struct bpf_sock *ctx)
{
	return granted(6, ctx);
}

SEC("cgroup/sock_release") int released(struct bpf_sock *ctx)
{
	struct record *r;

	if (!is_datagram(ctx->protocol))
		return 1;
	r = begin(7, (struct sock *)ctx);
	if (!r || !r->port || !(r->locks & (lock_addr | lock_port)))
		return 1;
	r->cookie = socket_cookie(ctx);
	finish(r, kind_closed);
	return 1;
}

// connecting tells of a listener that asks for a peer. Whether it gets one is
// seen later, by inspect.
INLINE int connecting(u32 buffer, struct bpf_sock_addr *ctx)
{
	struct record *r;
	u64 cookie;

	if (!is_datagram(ctx->protocol) || !ctx->sk)
		return 1;
	cookie = socket_cookie(ctx);
	r = begin(buffer, plain(buffer, ctx->sk));
	if (!r || !r->port || !(r->locks & (lock_addr | lock_port)) || r->flags & flag_connected)
		return 1;
	r->cookie = cookie;
	finish(r, kind_connecting);
	return 1;
}

SEC("cgroup/connect4") int connecting4(struct bpf_sock_addr *ctx)
{
	return connecting(3, ctx);
}

SEC("cgroup/connect6") int connecting6(struct bpf_sock_addr *ctx)
{
	return connecting(4, ctx);
}

// inspect is run by the reader: the state of the socket that was at an
// address, 0 when another one is there by now.
SEC("raw_tp") int inspect(u64 *ctx)
{
	struct sock *sk = (void *)ctx[0];
	u64 cookie = 0;
	u8 state = 0;

	READ(cookie, sk->__sk_common.skc_cookie.counter);
	if (!cookie || cookie != ctx[1])
		return 0;
	READ(state, *(u8 *)&sk->__sk_common.skc_state);
	return state;
}

char _license[] SEC("license") = "Dual MIT/GPL";
