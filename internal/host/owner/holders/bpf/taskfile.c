// SPDX-License-Identifier: MIT OR GPL-2.0-only
//
// Writes one record for every descriptor of every task that refers to a
// socket. The kernel's task_file iterator visits each file table once (a
// thread that shares its leader's table is skipped), in the PID namespace of
// the process that opened the iterator and those below it.
//
// No header is included: the structures below name only the members that are
// read, and CO-RE finds them in the running kernel.

typedef unsigned int u32;
typedef unsigned long long u64;

#define SEC(name) __attribute__((section(name), used))
#define INLINE static inline __attribute__((always_inline))

// Helper numbers: enum bpf_func_id, include/uapi/linux/bpf.h.
static long (*const probe_read_kernel)(void *dst, u32 size, const void *src) = (void *)113;
static long (*const seq_write)(void *seq, const void *data, u32 len) = (void *)127;
static struct task_struct *(*const current_task)(void) = (void *)158;
static struct socket *(*const sock_from_file)(void *file) = (void *)162;

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct upid {
	int nr;
};

struct pid {
	u32 level;
	struct upid numbers[1];
};

struct task_struct {
	struct task_struct *group_leader;
	struct pid *thread_pid;
};

struct inode {
	unsigned long i_ino;
};

struct file {
	struct inode *f_inode;
};

struct sock_common {
	unsigned short skc_family;
	volatile unsigned char skc_state;
};

struct sock {
	struct sock_common __sk_common;
	unsigned short sk_type;
};

struct socket {
	struct sock *sk;
};

struct bpf_iter_meta {
	void *seq;
};

struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	u32 fd;
	struct file *file;
};

#pragma clang attribute pop

// Values of include/linux/socket.h, include/linux/net.h and
// include/net/tcp_states.h; none has changed since it was given.
enum {
	family_unix = 1,
	family_inet = 2,
	family_inet6 = 10,
	family_netlink = 16,
	type_dgram = 2,
	type_raw = 3,
	state_established = 1,
	state_listen = 10,
};

struct record {
	u64 inode;
	u32 pid;
	u32 fd;
};

// may_listen keeps what a stranger may knock at. What it does not know
// (another family than IP) it keeps.
INLINE int may_listen(struct sock *sk)
{
	int family = sk->__sk_common.skc_family;
	int state = sk->__sk_common.skc_state;

	if (family == family_unix || family == family_netlink)
		return 0;
	if (family != family_inet && family != family_inet6)
		return 1;
	switch (sk->sk_type) {
	case type_raw:
		return 1;
	case type_dgram:
		return state != state_established;
	}
	return state == state_listen;
}

// process_number is the task's thread group as numbered in the PID namespace
// of the reader: an iterator runs in the task that reads it, and visits only
// namespaces at or below the reader's own, where every task has a number at
// the reader's level.
INLINE u32 process_number(struct task_struct *task)
{
	struct pid *own = current_task()->thread_pid;
	struct pid *pid = task->group_leader->thread_pid;
	u64 size = __builtin_preserve_type_info(*(struct upid *)0, 1);
	u32 number = 0;

	if (!own || !pid)
		return 0;
	probe_read_kernel(&number, sizeof(number), (void *)&pid->numbers[0].nr + own->level * size);
	return number;
}

INLINE int emit(struct bpf_iter__task_file *ctx, int listening)
{
	struct record rec;
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct socket *socket;

	if (!task || !file)
		return 0;
	socket = sock_from_file(file);
	if (!socket)
		return 0;
	if (listening && (!socket->sk || !may_listen(socket->sk)))
		return 0;
	rec.inode = file->f_inode->i_ino;
	rec.pid = process_number(task);
	rec.fd = ctx->fd;
	seq_write(ctx->meta->seq, &rec, sizeof(rec));
	return 0;
}

SEC("iter/task_file") int every_socket(struct bpf_iter__task_file *ctx)
{
	return emit(ctx, 0);
}

SEC("iter/task_file") int listening_sockets(struct bpf_iter__task_file *ctx)
{
	return emit(ctx, 1);
}

char _license[] SEC("license") = "Dual MIT/GPL";
