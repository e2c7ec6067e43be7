// Package cgroup reads a process's control group path: which systemd unit the
// process runs in, and which container.
//
// Terms. The path that counts is the one of the unified hierarchy (cgroup v2)
// or, on older and hybrid systems, of the named hierarchy "systemd" and, where
// neither says anything, of a controller. An element is one folder of the
// path. A container's element is the one that its runtime made for it; what is
// below it belongs to the container's inside.
//
// A path says what a runtime named the group when it made it, and nothing
// more: names of containers come from the runtime's own state. A path that
// matches no known form has no container.
package cgroup
