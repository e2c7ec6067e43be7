// Package holders reads which descriptors of which processes refer to
// sockets, for the whole host at once, in one of two ways that give the same
// answer:
//
//   - Iterate runs a BPF program (bpf/taskfile.c) over every file table in
//     the kernel. It costs some milliseconds to load and then well under a
//     microsecond a descriptor, and may filter in the kernel. It needs
//     CAP_BPF and CAP_PERFMON (or CAP_SYS_ADMIN), Linux 5.11 and kernel BTF.
//   - Walk reads the links of /proc/PID/fd. It costs nothing to start and
//     some microseconds a descriptor, needs no capability for the reader's
//     own processes and CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH for others'.
//
// Terms. A process is a thread group; its number is that of the PID namespace
// that the proc file system was mounted for. Threads that share the leader's
// file table are one with it; threads that have unshared theirs are read too
// and count as descriptors of their process. Iterate numbers processes in the
// PID namespace of the caller; SameNamespace says whether the two agree.
//
// Nothing is pinned, traced, signalled or changed. Calls share nothing and
// may run at the same time. Processes that end while they are read are left
// out.
package holders
