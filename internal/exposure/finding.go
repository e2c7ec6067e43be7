package exposure

// Severity orders findings.
type Severity string

// Severities.
const (
	High   Severity = "high"
	Medium Severity = "medium"
	Low    Severity = "low"
	Info   Severity = "info"
)

// Rank gives high 3 … info 0; an unknown severity is -1.
func (s Severity) Rank() int {
	switch s {
	case High:
		return 3
	case Medium:
		return 2
	case Low:
		return 1
	case Info:
		return 0
	}
	return -1
}

// Finding is one thing that a person should know of one endpoint.
type Finding struct {
	ID       string   `json:"id"`
	Rule     string   `json:"rule"`
	Severity Severity `json:"severity"`
	Endpoint string   `json:"endpoint"` // proto/addr:port
	Title    string   `json:"title"`
	// Because is the evidence; SafeBecause is what speaks for safety.
	Because     []string `json:"because"`
	SafeBecause []string `json:"safe_because"`
	Fix         []Fix    `json:"fix"`
}

// Fix is one thing to do, with the command that does it.
type Fix struct {
	What    string `json:"what"`
	Command string `json:"command"`
}

// Verdict is the join's word on an endpoint.
type Verdict string

// Verdicts.
const (
	Expected Verdict = "expected"
	Review   Verdict = "review"
	Exposed  Verdict = "exposed"
	Unneeded Verdict = "unneeded"
	Blocked  Verdict = "blocked"
	Hidden   Verdict = "hidden"
)
