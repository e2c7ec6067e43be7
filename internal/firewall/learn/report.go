package learn

import (
	"fmt"
	"net/netip"
	"time"
)

// Report is what became of the flows.
type Report struct {
	From, To time.Time // the window
	Rules    int

	// Flows are connections in all; Established were answered or permitted.
	// The others count what was not learned from: Unanswered attempts, what
	// scanners found (ScanFlows), what was done once (OneOff), what is too
	// light for the rules asked for (TooLight), answers that go with another
	// connection (Related), what no router passes on (Local), what could not
	// be read as a flow of one family (Odd), what did not fit into memory
	// (Overflow). Turned are answers that were taken for beginnings.
	Flows, Established                    uint64
	Unanswered, ScanFlows, OneOff         uint64
	TooLight, Related, Local, Odd, Turned uint64
	Overflow                              uint64

	Scanners []Scanner
	// LeftOut are what was left out though it was answered, at most 200.
	LeftOut []LeftOut
	// Home are public networks that were taken for one's own.
	Home []netip.Prefix
}

// Scanner is a client that asked many doors in vain.
type Scanner struct {
	Client netip.Addr
	Doors  int // that stayed shut
	Sweeps int // services that it asked many servers for
	Probed int // servers that it asked many ports of
}

// LeftOut is a need that was not believed.
type LeftOut struct {
	Service        string
	Client, Server netip.Addr
	Flows          uint64
	Why            string
}

// cannotKnow says in sentences what the evidence does not show.
func (e *evidence) cannotKnow() []string {
	out := []string{"what does not pass the point where the flows were taken"}
	out = append(out, e.blindTimes()...)
	if e.untimed > 0 {
		out = append(out, fmt.Sprintf("when %d of %d connections were: their source tells no times", e.untimed, e.total.flows))
	}
	if e.overflow > 0 {
		out = append(out, fmt.Sprintf("%d connections between pairs that did not fit into memory", e.overflow))
	}
	for _, p := range e.home.guessed {
		out = append(out, fmt.Sprintf("whether %s is your own network: most flows have an end in it, so it was taken for yours (a policy can say)", p))
	}
	if n := e.report.OneOff; n > 0 {
		out = append(out, fmt.Sprintf("whether %d connections that were made on one occasion only are needed; they are left out", n))
	}
	if n := e.report.TooLight; n > 0 {
		out = append(out, fmt.Sprintf("whether %d rare connections are needed; they are left out for fewer rules", n))
	}
	return append(out, e.opt.Losses...)
}

// blindTimes names what the window is too short for.
func (e *evidence) blindTimes() (out []string) {
	if e.report.From.IsZero() {
		return []string{"what belongs to other times: the window is not known"}
	}
	w := e.report.To.Sub(e.report.From)
	switch {
	case w < 24*time.Hour:
		out = append(out, fmt.Sprintf("what runs at other hours: the window is %s", w.Round(time.Minute)))
	case w < 7*24*time.Hour:
		out = append(out, fmt.Sprintf("what runs once a week: the window is %d hours", int(w.Hours())))
	case w < 31*24*time.Hour:
		out = append(out, fmt.Sprintf("what runs once a month: the window is %d days", int(w.Hours()/24)))
	default:
		out = append(out, "what runs once a quarter or once a year")
	}
	return append(out, e.missingDays()...)
}

// missingDays names weekdays without a flow.
func (e *evidence) missingDays() (out []string) {
	if e.untimed == e.total.flows {
		return nil
	}
	var missing string
	for d := range 7 {
		seen := false
		for h := range 24 {
			seen = seen || e.hours[d*24+h]
		}
		if !seen {
			if missing != "" {
				missing += ", "
			}
			missing += time.Weekday(d).String()
		}
	}
	if missing == "" {
		return nil
	}
	return []string{"what runs on " + missing + ": no flow was seen on such a day"}
}
