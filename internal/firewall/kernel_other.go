//go:build !linux

package firewall

import (
	"net/netip"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// thisKernel answers ErrUnsupported: rule sets of other systems are read from
// files.
func thisKernel() Kernel { return unsupported{} }

type unsupported struct{}

func (unsupported) Tables() (Tables, error) { return Tables{}, ErrUnsupported }

func (unsupported) Network() (Network, error) { return Network{}, ErrUnsupported }

func (unsupported) Route(netip.Addr) (ruleset.Route, error) { return ruleset.Route{}, ErrUnsupported }
