// SPDX-License-Identifier: MIT OR GPL-2.0-only
//
// Writes one line of text for every UDP socket, or every listening TCP
// socket, of the network namespace in which the iterator was opened:
//
//   inode port family userlocks made-by-kernel receive-callback
//
// The callback is printed by the kernel as its symbol (%ps).
//
// No header is included: the structures below name only the members that are
// read, and CO-RE finds them in the running kernel.

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;

#define SEC(name) __attribute__((section(name), used))
#define INLINE static inline __attribute__((always_inline))

// Helper numbers: enum bpf_func_id, include/uapi/linux/bpf.h.
static long (*const probe_read_kernel)(void *dst, u32 size, const void *src) = (void *)113;
static long (*const seq_printf)(void *seq, const char *fmt, u32 fmt_size, const void *data, u32 len) = (void *)126;

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct inode {
	unsigned long i_ino;
};

struct sock_common {
	unsigned short skc_family;
	unsigned short skc_num;
	volatile unsigned char skc_state;
};

struct socket {
	u32 state;
};

struct socket_alloc {
	struct socket socket;
	struct inode vfs_inode;
};

struct sock {
	struct sock_common __sk_common;
	u8 sk_userlocks : 4;
	u8 sk_kern_sock : 1;
	struct socket *sk_socket;
	void *sk_data_ready;
};

struct inet_sock {
	struct sock sk;
};

struct udp_sock {
	struct inet_sock inet;
	void *encap_rcv;
};

struct bpf_iter_meta {
	void *seq;
};

struct bpf_iter__udp {
	struct bpf_iter_meta *meta;
	struct udp_sock *udp_sk;
};

struct bpf_iter__tcp {
	struct bpf_iter_meta *meta;
	struct sock_common *sk_common;
};

#pragma clang attribute pop

enum { state_listen = 10 }; // TCP_LISTEN, include/net/tcp_states.h

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
#else
#define PLACE(value, size) ((void *)&(value) + (8 - (size)))
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

INLINE u64 inode_of(struct sock *sk)
{
	struct socket *socket = 0;
	unsigned long ino = 0;

	probe_read_kernel(&socket, sizeof(socket), &sk->sk_socket);
	if (socket)
		probe_read_kernel(&ino, sizeof(ino), &((struct socket_alloc *)socket)->vfs_inode.i_ino);
	return ino;
}

INLINE void print(void *seq, struct sock *sk, u64 callback)
{
	char fmt[] = "%llu %llu %llu %llu %llu %ps\n";
	unsigned short port = 0, family = 0;
	u64 args[6] = {};

	args[0] = inode_of(sk);
	if (!args[0])
		return;
	probe_read_kernel(&port, sizeof(port), &sk->__sk_common.skc_num);
	probe_read_kernel(&family, sizeof(family), &sk->__sk_common.skc_family);
	args[1] = port;
	args[2] = family;
	BITS(args[3], sk, sk_userlocks);
	BITS(args[4], sk, sk_kern_sock);
	args[5] = callback;
	seq_printf(seq, fmt, sizeof(fmt), args, sizeof(args));
}

SEC("iter/udp")
int datagrams(struct bpf_iter__udp *ctx)
{
	struct udp_sock *udp = ctx->udp_sk;
	u64 callback = 0;

	if (!udp)
		return 0;
	probe_read_kernel(&callback, sizeof(callback), &udp->encap_rcv);
	if (!callback)
		probe_read_kernel(&callback, sizeof(callback), &((struct sock *)udp)->sk_data_ready);
	print(ctx->meta->seq, (struct sock *)udp, callback);
	return 0;
}

SEC("iter/tcp")
int listeners(struct bpf_iter__tcp *ctx)
{
	struct sock *sk = (struct sock *)ctx->sk_common;
	unsigned char state = 0;
	u64 callback = 0;

	if (!sk)
		return 0;
	probe_read_kernel(&state, sizeof(state), (void *)&sk->__sk_common.skc_state);
	if (state != state_listen)
		return 0;
	probe_read_kernel(&callback, sizeof(callback), &sk->sk_data_ready);
	print(ctx->meta->seq, sk, callback);
	return 0;
}

char _license[] SEC("license") = "Dual MIT/GPL";
