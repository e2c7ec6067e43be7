package host

import (
	"context"

	"github.com/portreeve/portreeve/internal/exposure"
)

// Self names the network namespace that the calling thread is in.
func Self() (exposure.NetNS, error) { return selfNetNS() }

// Listening lists the endpoints of this namespace's listening TCP sockets and
// nothing else: no owners, no grouping. It costs a millisecond, so that a
// caller can watch listeners come and go.
func Listening(ctx context.Context) ([]exposure.Endpoint, error) { return listenEndpoints(ctx) }
