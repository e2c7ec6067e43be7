package owner

import "errors"

// ErrUnsupported is the answer of Find on systems other than Linux.
var ErrUnsupported = errors.New("owner: socket holders are read from Linux's /proc or BPF only; on this system read a listing with --from")
