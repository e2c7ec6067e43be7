package cli

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// Magic bytes of the compressed forms that are read as they are.
var (
	gzipMagic  = []byte{0x1f, 0x8b}
	zstdMagic  = []byte{0x28, 0xb5, 0x2f, 0xfd}
	bzip2Magic = []byte("BZh")
	xzMagic    = []byte{0xfd, '7', 'z', 'X', 'Z', 0}
)

// maxWindow bounds what a decompressor may keep.
const maxWindow = 64 << 20

// decompress looks at the first bytes, not at the name: standard input has
// none, and names lie.
func decompress(r io.ReadCloser, name string) (io.ReadCloser, error) {
	br := bufio.NewReaderSize(r, 64<<10)
	head, err := br.Peek(6)
	if err != nil && err != io.EOF {
		return nil, err
	}
	plain, err := unpack(br, head)
	if err != nil {
		return nil, err
	}
	return &input{Reader: plain, close: r}, nil
}

func unpack(br *bufio.Reader, head []byte) (io.Reader, error) {
	switch {
	case bytes.HasPrefix(head, gzipMagic):
		return gzip.NewReader(br)
	case bytes.HasPrefix(head, zstdMagic):
		return zstd.NewReader(br, zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderConcurrency(1))
	case bytes.HasPrefix(head, bzip2Magic):
		return bzip2.NewReader(br), nil
	case bytes.HasPrefix(head, xzMagic):
		return xz.ReaderConfig{DictCap: maxWindow}.NewReader(br)
	}
	return br, nil
}

type input struct {
	io.Reader
	close io.Closer
}

func (i *input) Close() error { return i.close.Close() }
