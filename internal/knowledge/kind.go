package knowledge

import (
	_ "embed"
	"slices"
	"strings"
)

// Kind is what sort of service an advice describes; a service may be of
// several kinds. The closed vocabulary with meanings is data/kinds.tsv.
type Kind string

// Kinds that decide on findings. The others only describe.
const (
	Datastore     Kind = "datastore"     // holds data that queries read and change
	Admin         Kind = "admin"         // remote administration of a host or product
	RemoteLogin   Kind = "remote-login"  // a shell or a desktop for a person
	Cleartext     Kind = "cleartext"     // credentials or data in clear, by design
	FileSharing   Kind = "file-sharing"  // files for reading or writing
	Orchestration Kind = "orchestration" // controls containers or other hosts
	Industrial    Kind = "industrial"    // controls machines
	Backdoor      Kind = "backdoor"      // a well-known default of intruders' tools
	Amplification Kind = "amplification" // UDP answers larger than questions
	Legacy        Kind = "legacy"        // superseded; nothing new should need it
	Development   Kind = "development"   // meant for a developer's own machine
	Queue         Kind = "queue"         // messages between programs
	Monitoring    Kind = "monitoring"    // measures, and tells what it measured
)

//go:embed data/kinds.tsv
var kindsTable string

//go:embed data/protocols.tsv
var protocolsTable string

// Term is one word of a closed vocabulary.
type Term struct{ Name, Meaning string }

// Kinds is the closed vocabulary of Advice.Kinds.
func Kinds() []Term { return parseTerms(kindsTable) }

// Protocols is the closed vocabulary of Advice.Speaks.
func Protocols() []Term { return parseTerms(protocolsTable) }

func parseTerms(text string) []Term {
	var out []Term
	for line := range strings.Lines(text) {
		name, meaning, ok := strings.Cut(strings.TrimRight(line, "\n"), "\t")
		if ok && !strings.HasPrefix(line, "#") {
			out = append(out, Term{name, meaning})
		}
	}
	return out
}

// Is reports whether the service is of any of the kinds.
func (a *Advice) Is(kinds ...Kind) bool {
	return slices.ContainsFunc(kinds, func(k Kind) bool { return slices.Contains(a.Kinds, k) })
}
