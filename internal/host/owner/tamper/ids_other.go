//go:build !linux

package tamper

import "io/fs"

// ids are read on Linux only: elsewhere no process is described.
func ids(fs.FileInfo) (uid, gid uint32, ok bool) { return 0, 0, false }
