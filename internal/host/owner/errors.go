package owner

import "github.com/portreeve/portreeve/internal/host/owner/holders"

// ErrUnsupported is the answer of Find on systems other than Linux.
var ErrUnsupported = holders.ErrUnsupported
