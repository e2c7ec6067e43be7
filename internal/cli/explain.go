package cli

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/audit"
	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/knowledge"
	"github.com/portreeve/portreeve/internal/report"
	"github.com/portreeve/portreeve/internal/scan"
	"github.com/spf13/cobra"
)

type explainFlags struct{ json, verbose bool }

func newExplain(s *streams) *cobra.Command {
	var f explainFlags
	cmd := &cobra.Command{
		Use:   "explain PORT[/PROTO]|NAME",
		Short: "What a port is, who has it here, whether it is safe, how to close it",
		Long: `Answers from the registry and the advice table what a port or service is, and
from this host who has it, who uses it, whether strangers get in, and how to
close it. Asks only the ports in question, on this host's own addresses.`,
		Example: `  portreeve explain 834
  portreeve explain 5353/udp
  portreeve explain ssh`,
		Args: oneTopic,
		RunE: func(cmd *cobra.Command, args []string) error { return runExplain(cmd.Context(), s, f, args[0]) },
	}
	cmd.Flags().BoolVar(&f.json, "json", false, "one JSON document (portreeve.explain/1)")
	cmd.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "how to close it on every system, all evidence")
	return cmd
}

func oneTopic(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usage("as in: portreeve explain 5432, portreeve explain 53/udp, portreeve explain ssh", "explain needs one port or service name, got %d", len(args))
	}
	return nil
}

func runExplain(ctx context.Context, s *streams, f explainFlags, topic string) error {
	book := knowledge.Open()
	ex, err := lookUp(book, topic)
	if err != nil {
		return err
	}
	g := newGatherer(s)
	g.ports = ex.tcpRanges()
	in, err := g.gather(ctx)
	if err == nil {
		rep := audit.Judge(in)
		ex.here(&rep)
	} else {
		ex.Incomplete = append(ex.Incomplete, exposure.Gap{View: "host", Why: err.Error()})
	}
	ex.whoReached(ctx)
	ex.Schema, ex.Taken, ex.Host = "portreeve.explain/1", time.Now().UTC(), hostname()
	if f.json {
		return s.finish(report.JSON(s.out, ex), ex.Incomplete)
	}
	return s.finish(report.ExplainText(s.out, &ex.Explanation, s.style(f.verbose)), ex.Incomplete)
}

type explanation struct {
	Schema string    `json:"schema"`
	Taken  time.Time `json:"taken"`
	Host   string    `json:"host"`
	report.Explanation
}

// maxTopicPorts bounds how many ports a name may stand for on this host.
const maxTopicPorts = 64

// lookUp answers from the tables. An unknown name is an error; an unknown
// port is an answer.
func lookUp(book *knowledge.Book, topic string) (*explanation, error) {
	ex := &explanation{Explanation: report.Explanation{Topic: topic,
		Ports: []report.TopicPort{}, Entries: []knowledge.Entry{}, Advice: []*knowledge.Advice{},
		Endpoints: []audit.Endpoint{}, Findings: []exposure.Finding{}, Incomplete: []exposure.Gap{}}}
	if port, proto, ok := parsePort(topic); ok {
		ex.addPort(book, port, proto)
		return ex, nil
	}
	if strings.Contains(topic, "/") || topic != "" && topic[0] >= '0' && topic[0] <= '9' && !strings.ContainsAny(topic, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") {
		return nil, usage("ports are 1–65535; protocols tcp, udp, sctp, dccp, udplite", "%q is no port", topic)
	}
	ex.Entries = append(ex.Entries, book.ByName(topic)...)
	if a := book.AdviceFor(topic); a != nil {
		ex.Advice = append(ex.Advice, a)
		ex.addAdvicePorts(a)
	}
	if len(ex.Entries) == 0 && len(ex.Advice) == 0 {
		return nil, usage("give a port as in `portreeve explain 8080`, or another name", "no service is known as %q", topic)
	}
	for _, e := range ex.Entries {
		ex.addTopicPort(e.Proto, e.Port)
	}
	return ex, nil
}

// parsePort reads 53, 53/udp.
func parsePort(topic string) (uint16, exposure.Proto, bool) {
	num, proto, has := strings.Cut(topic, "/")
	n, err := strconv.ParseUint(num, 10, 16)
	if err != nil || n == 0 {
		return 0, "", false
	}
	p := exposure.Proto(strings.ToLower(proto))
	switch p {
	case exposure.TCP, exposure.UDP, exposure.SCTP, exposure.DCCP, exposure.UDPLite:
		return uint16(n), p, true
	}
	return uint16(n), "", !has
}

func (ex *explanation) addPort(book *knowledge.Book, port uint16, proto exposure.Proto) {
	protos := []exposure.Proto{exposure.TCP, exposure.UDP, exposure.SCTP, exposure.DCCP}
	if proto != "" {
		protos = []exposure.Proto{proto}
	}
	for _, p := range protos {
		if e, ok := book.Entry(p, port); ok {
			ex.Entries = append(ex.Entries, e)
		}
		for _, a := range book.Candidates(p, port) {
			if !slices.ContainsFunc(ex.Advice, func(b *knowledge.Advice) bool { return b.ID == a.ID }) {
				ex.Advice = append(ex.Advice, a)
			}
		}
		ex.addTopicPort(p, port)
	}
	ex.Reserved = knowledge.Reserved(port)
}

func (ex *explanation) addAdvicePorts(a *knowledge.Advice) {
	for _, r := range a.Ports {
		for p := int(r.First); p <= int(r.Last); p++ {
			ex.addTopicPort(r.Proto, uint16(p))
		}
	}
}

func (ex *explanation) addTopicPort(p exposure.Proto, port uint16) {
	t := report.TopicPort{Proto: p, Port: port}
	if len(ex.Ports) < maxTopicPorts && !slices.Contains(ex.Ports, t) {
		ex.Ports = append(ex.Ports, t)
	}
}

func (ex *explanation) tcpRanges() []scan.PortRange {
	out := []scan.PortRange{}
	for _, t := range ex.Ports {
		if t.Proto == exposure.TCP {
			out = append(out, scan.PortRange{First: t.Port, Last: t.Port})
		}
	}
	return out
}

// here keeps of an audit what is about the topic: its ports, and services
// that are the topic though they stand elsewhere.
func (ex *explanation) here(rep *audit.Report) {
	ids := map[string]bool{}
	for i := range rep.Endpoints {
		e := &rep.Endpoints[i]
		if !ex.about(e) {
			continue
		}
		ex.Endpoints = append(ex.Endpoints, *e)
		for _, id := range e.Findings {
			ids[id] = true
		}
	}
	for _, f := range rep.Findings {
		if ids[f.ID] {
			ex.Findings = append(ex.Findings, f)
		}
	}
	ex.Incomplete = append(ex.Incomplete, rep.Incomplete...)
}

func (ex *explanation) about(e *audit.Endpoint) bool {
	if slices.Contains(ex.Ports, report.TopicPort{Proto: e.Proto, Port: e.Port}) {
		return true
	}
	return strings.EqualFold(e.Service, ex.Topic)
}
