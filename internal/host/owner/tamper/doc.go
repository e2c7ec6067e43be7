// Package tamper tells who, beside a file's owner and root, may write a file
// or put another in its place: by the permission bits of the file and of
// every folder above it, in the root that a process sees.
//
// A group counts when it has a member beside the owner and root, as far as
// the root's own group file tells; a group that the file does not know
// counts. Access control lists show as group bits here, which the kernel
// keeps as their upper bound. Files that are mounted read-only count by their
// bits all the same.
package tamper
