package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
	"github.com/portreeve/portreeve/internal/report"
)

type queryFlags struct {
	rulesetFlags
	chain   string
	packets string
	json    bool
	packet  report.Packet
	srcPort int
	dstPort int
}

func newRulesQuery(s *streams) *cobra.Command {
	var f queryFlags
	cmd := &cobra.Command{
		Use:   "query [-]",
		Short: "What a rule set does with a packet, and which rule decides",
		Long: `Says whether a rule set lets a packet pass: permit, deny, or unknown with the
reason. What is left out of a packet is open; the answer then holds for every
packet that fits. A packet without a state begins a connection.

One packet is given by flags, many as JSON Lines on standard input (-), with
the fields proto, src, src_port, dst, dst_port, in, out, state.`,
		Example: `  portreeve rules query --ruleset rules.v4 --src 10.0.0.5 --dst-port 22
  portreeve rules query --ruleset asa.cfg --chain OUTSIDE-IN --dst-port 443
  portreeve rules query --ruleset nft.json --json - < packets.jsonl
  portreeve rules query --src 203.0.113.7 --dst-port 22     (this host's rules)`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				f.packets = args[0]
			}
			return runQuery(cmd.Context(), s, &f)
		},
	}
	f.register(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.chain, "chain", "", "ask this chain or access list only")
	fl.BoolVar(&f.json, "json", false, "answers as JSON Lines")
	fl.StringVar(&f.packet.Proto, "proto", "tcp", "protocol: tcp, udp, icmp, icmp6, a number, any")
	fl.StringVar(&f.packet.Src, "src", "", "source address")
	fl.StringVar(&f.packet.Dst, "dst", "", "destination address")
	fl.IntVar(&f.srcPort, "src-port", -1, "source port")
	fl.IntVar(&f.dstPort, "dst-port", -1, "destination port")
	fl.StringVar(&f.packet.In, "in", "", "interface it arrives on")
	fl.StringVar(&f.packet.Out, "out", "", "interface it leaves by")
	fl.StringVar(&f.packet.State, "state", "", "new, established, related, invalid or untracked")
	return cmd
}

func runQuery(ctx context.Context, s *streams, f *queryFlags) error {
	if f.file == "-" && f.packets == "-" {
		return usage("give the rule set as a file", "rule set and packets cannot both be standard input")
	}
	rules, err := f.open(ctx, s)
	if err != nil {
		return err
	}
	if f.packets != "" {
		return queryLines(ctx, s, f, rules)
	}
	if f.packet.SrcPort, err = portFlag("src-port", f.srcPort); err != nil {
		return err
	}
	if f.packet.DstPort, err = portFlag("dst-port", f.dstPort); err != nil {
		return err
	}
	p, err := packetOf(&f.packet)
	if err != nil {
		return usage("see: portreeve rules query --help", "%w", err)
	}
	d, err := rules.query(p, f.chain)
	if err != nil {
		return usage(chainHint(rules.rules, err), "%s: %w", rules.name, err)
	}
	if f.json {
		_, err = s.out.Write(report.AppendDecisionJSON(nil, &d))
	} else {
		err = report.DecisionText(s.out, &d, s.style(false))
	}
	return s.finish(err, rules.gaps)
}

func portFlag(name string, n int) (*uint16, error) {
	if n == -1 {
		return nil, nil
	}
	if n < 0 || n > 65535 {
		return nil, usage("give a port from 0 to 65535", "--%s %d is no port", name, n)
	}
	p := uint16(n)
	return &p, nil
}

// packetOf reads a packet as it was written.
func packetOf(l *report.Packet) (p ruleset.Packet, err error) {
	p = ruleset.Packet{SrcPort: l.SrcPort, DstPort: l.DstPort, In: l.In, Out: l.Out, State: l.State, TCPFlags: l.TCPFlags, ICMPType: l.ICMPType, ICMPCode: l.ICMPCode, Length: l.Length}
	if l.Proto != "" {
		if p.Proto, err = protoOf(l.Proto); err != nil {
			return p, err
		}
	}
	if p.Src, err = addrOf(l.Src); err != nil {
		return p, fmt.Errorf("src: %w", err)
	}
	if p.Dst, err = addrOf(l.Dst); err != nil {
		return p, fmt.Errorf("dst: %w", err)
	}
	return p, nil
}

// mostPacketLine bounds a line of packets.
const mostPacketLine = 1 << 16

// queryLines answers a stream of packets, a line for a line: one that cannot
// be read is answered with unknown and its reason.
func queryLines(ctx context.Context, s *streams, f *queryFlags, rules *openRules) error {
	in, err := openInput(s.stoppableInput(ctx), f.packets)
	if err != nil {
		return usage("give packets as JSON Lines", "read %s: %w", inputName(f.packets), err)
	}
	defer in.Close()
	sc := bufio.NewScanner(in)
	sc.Buffer(nil, mostPacketLine)
	out := bufio.NewWriter(s.out)
	bad, line := 0, 0
	var buf []byte
	for sc.Scan() && ctx.Err() == nil {
		line++
		if len(bytes.TrimSpace(sc.Bytes())) == 0 {
			continue
		}
		d, err := f.answer(rules, sc.Bytes())
		if errors.Is(err, ruleset.ErrNoChain) || line == 1 && (errors.Is(err, ruleset.ErrWhich) || errors.Is(err, ruleset.ErrNothing)) {
			_ = out.Flush()
			return usage(chainHint(rules.rules, err), "%s: %w", rules.name, err)
		}
		if err != nil {
			bad++
			d = ruleset.Decision{Verdict: ruleset.UnknownPacket, Why: fmt.Sprintf("line %d: %v", line, err)}
		}
		buf = report.AppendDecisionJSON(buf[:0], &d)
		if _, err := out.Write(buf); err != nil {
			return writeError(err)
		}
	}
	if err := errors.Join(sc.Err(), ctx.Err()); err != nil {
		_ = out.Flush()
		return &exitError{code: exitPartial, err: fmt.Errorf("%s, line %d: %w", inputName(f.packets), line+1, err)}
	}
	if err := out.Flush(); err != nil {
		return writeError(err)
	}
	if bad > 0 {
		fmt.Fprintf(s.err, "portreeve: %d of %d packets could not be read; their answer is unknown, with the reason\n", bad, line)
		if len(rules.gaps) == 0 {
			return &exitError{code: exitPartial}
		}
	}
	return s.finish(nil, rules.gaps)
}

// badPacket says what is wrong with a line in the words of its fields.
func badPacket(err error) error {
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &kind) && kind.Field != "":
		return fmt.Errorf("%s: %s does not fit", kind.Field, kind.Value)
	case err == nil || kind != nil:
		return errors.New("a packet is a JSON object")
	}
	return err
}

func (f *queryFlags) answer(rules *openRules, text []byte) (ruleset.Decision, error) {
	var l report.Packet
	dec := json.NewDecoder(bytes.NewReader(text))
	if err := dec.Decode(&l); err != nil || bytes.TrimSpace(text)[0] != '{' {
		return ruleset.Decision{}, badPacket(err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return ruleset.Decision{}, errors.New("more than one JSON object in a line")
	}
	p, err := packetOf(&l)
	if err != nil {
		return ruleset.Decision{}, err
	}
	return rules.query(p, f.chain)
}

// query asks; a host without any rules lets everything pass.
func (o *openRules) query(p ruleset.Packet, chain string) (ruleset.Decision, error) {
	if o.host && len(o.rules.Chains) == 0 && len(o.rules.Missing) == 0 {
		return ruleset.Decision{Verdict: ruleset.PermitPacket, Rule: "no rule", Why: "this host has no firewall rules"}, nil
	}
	return o.rules.Query(p, chain)
}
