// Package rootfs reads files as a process sees them: below the directory that
// is its "/". A container's files are hostile input, so nothing that is read
// here can lead out of the root, block, or be larger than the reader allows.
//
// Symbolic links are followed within the root, absolute ones from its top, by
// Resolve; the files themselves are opened through os.Root, which refuses to
// leave the directory even when the tree changes meanwhile.
//
// Paths are slash-separated and absolute within the root. An FS may be used by
// several goroutines at once.
package rootfs
