package owner

import (
	"fmt"
	"strings"

	"github.com/portreeve/portreeve/internal/host/owner/holders"
)

// whyDenied explains what a walk did not see.
func whyDenied(procRoot string, w holders.Walked) string {
	denied := w.DeniedOpen + w.DeniedRead
	p := holders.ReadPrivilege(procRoot)
	var parts []string
	if denied > 0 {
		parts = append(parts, fmt.Sprintf("the descriptors of %d of %d processes could not be read: %s", denied, w.Processes, remedy(w, p)))
	}
	if hidden := p.Hidden(); hidden != "" {
		parts = append(parts, hidden)
	}
	return strings.Join(parts, "; ")
}

// remedy names the capabilities that are lacking; where none is, something
// else refused.
func remedy(w holders.Walked, p holders.Privilege) string {
	var lacking []string
	if !p.SysPtrace {
		lacking = append(lacking, "CAP_SYS_PTRACE")
	}
	if w.DeniedOpen > 0 && !p.DacReadSearch {
		lacking = append(lacking, "CAP_DAC_READ_SEARCH")
	}
	switch {
	case len(lacking) > 0:
		return "needs " + strings.Join(lacking, " and ") + " (root has both)"
	case p.UserNamespace:
		return "this user namespace's capabilities do not reach processes outside it: run in the host's"
	}
	return "refused though the capabilities are there, as a security module does"
}

// Outside says that processes of other PID namespaces may exist that the
// caller cannot see; "" in the host's first one.
func Outside() string {
	if !holders.Outside() {
		return ""
	}
	return "this program runs in a PID namespace of its own (a container): processes outside it are not seen; run it in the host's (as docker run --pid=host)"
}
