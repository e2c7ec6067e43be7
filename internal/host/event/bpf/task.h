// SPDX-License-Identifier: MIT OR GPL-2.0-only
//
// Part of listeners.c: what is known of the task that opens or closes a
// socket.

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
