// Package identity reads who a process is: its name, executable, command
// line, user and start, from one /proc/PID folder below an injectable proc
// root.
//
// The executable needs care. The kernel shows its path with " (deleted)"
// behind it when the file was unlinked, which a file's real name may end with
// too; and it shows the path from the reader's root or, for a process of
// another mount namespace, from the top of that namespace. Read settles both
// by comparing files, not names: Exe is the path that the kernel shows,
// InRoot the same file's path within the process's own root.
//
// Nothing is kept between calls.
package identity
