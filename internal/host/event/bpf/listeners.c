// SPDX-License-Identifier: MIT OR GPL-2.0-only
//
// Writes one record into a ring buffer whenever a socket begins or ceases to
// be a listener: TCP, MPTCP, SCTP and DCCP by their state, UDP and UDP-Lite
// by bind, connect and release, which programs at the root of the
// cgroup tree are asked about. With it goes what is known of the task that
// did it: a listener may live no longer than it takes to wake a reader.
//
// CO-RE finds what kernel.h names in the running kernel (Linux 5.8 and later).

#include "kernel.h"

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

// Every program has a buffer of its own. Should another run of the same program
// come between on this CPU, both find a stranger's address in it, and both
// count their event as lost.
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

#include "task.h"

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

INLINE void finish(struct record *r, u64 address, u8 kind)
{
	u64 size;

	r->kind = kind;
	r->time = boot_time();
	describe_task(r, kind == kind_opened);
	size = (u64)r->args_len + r->exe_len;
	if (size > data_max + piece_max)
		return;
	if (r->address != address) {
		r->address = 0;
		__sync_fetch_and_add(&lost, 1);
		return;
	}
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
	finish(r, (u64)sk, kind);
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
	struct sock *sk;
	u64 cookie;

	if (ctx->op != sock_ops_listen)
		return 1;
	socket = ctx->sk;
	if (!socket)
		return 1;
	cookie = socket_cookie(ctx);
	sk = plain(2, socket);
	r = begin(2, sk);
	if (!r || r->locks & lock_port || r->flags & flag_kernel)
		return 1;
	r->cookie = cookie;
	finish(r, (u64)sk, kind_opened);
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
	finish(r, (u64)ctx, kind_opened);
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
	finish(r, (u64)ctx, kind_closed);
	return 1;
}

// connecting tells of a listener that asks for a peer. Whether it gets one is
// seen later, by inspect.
INLINE int connecting(u32 buffer, struct bpf_sock_addr *ctx)
{
	struct record *r;
	struct sock *sk;
	u64 cookie;

	if (!is_datagram(ctx->protocol) || !ctx->sk)
		return 1;
	cookie = socket_cookie(ctx);
	sk = plain(buffer, ctx->sk);
	r = begin(buffer, sk);
	if (!r || !r->port || !(r->locks & (lock_addr | lock_port)) || r->flags & flag_connected)
		return 1;
	r->cookie = cookie;
	finish(r, (u64)sk, kind_connecting);
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
