//go:build !linux

package rootfs

// ReadInto is ReadFile for many files of one directory, given relative to it;
// buf is used again where it is large enough.
func (f *FS) ReadInto(name string, buf []byte, limit int64) ([]byte, error) {
	return f.readInto(name, buf, limit)
}
