package exposure

import (
	"net/netip"
	"time"
)

// Flow is who talked to whom, in whatever way it was learned: a capture, a
// connection log, a flow log, a firewall's log. Client is who began where that
// is known (OrientedBy says how).
type Flow struct {
	Proto      Proto      `json:"proto"`
	Client     netip.Addr `json:"client"`
	ClientPort uint16     `json:"client_port"`
	Server     netip.Addr `json:"server"`
	ServerPort uint16     `json:"server_port"`

	// Counts per direction; bytes as the source counts them.
	PacketsToServer uint64 `json:"packets_to_server"`
	PacketsToClient uint64 `json:"packets_to_client"`
	BytesToServer   uint64 `json:"bytes_to_server"`
	BytesToClient   uint64 `json:"bytes_to_client"`

	// First and Last are when the first and last packet were seen; zero where
	// the source does not tell.
	First time.Time `json:"first,omitzero"`
	Last  time.Time `json:"last,omitzero"`

	// State is Zeek's conn_state (S0, S1, SF, REJ, RSTO, …); "" where the
	// source has none. Answered says whether the server answered as servers
	// do; Refused that it, or something before it, refused.
	State    string   `json:"state,omitempty"`
	Answered Answered `json:"answered,omitempty"`

	// Action is what a firewall did where its log is the source: permit or
	// deny.
	Action string `json:"action,omitempty"`
	// Service is what the traffic itself was seen to be (Zeek's service, a
	// negotiation in band); "" unknown.
	Service    string `json:"service,omitempty"`
	OrientedBy string `json:"oriented_by,omitempty"`
	// In and Out are the interfaces, where the source tells.
	In  string `json:"in,omitempty"`
	Out string `json:"out,omitempty"`
	// Count is how many connections this stands for; 0 and 1 are one.
	Count uint64 `json:"count,omitempty"`
}

// Answered is what is known of a flow's answer.
type Answered string

// Answers. Unanswered includes what nobody saw an answer to.
const (
	AnswerUnknown  Answered = ""
	FlowAnswered   Answered = "yes"
	FlowUnanswered Answered = "no"
	FlowRefused    Answered = "refused"
)
