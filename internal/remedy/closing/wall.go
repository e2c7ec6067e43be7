package closing

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/remedy"
)

// Ours alone, beside the table of applied rules: what is dropped in one table
// is dropped, whatever another accepts, so that the two need not know of each
// other and are undone in any order.
const (
	closedTable = "inet portreeve_closed"
	closedChain = "PORTREEVE-CLOSED"
)

// wallPort is one port that the firewall shuts. Published ports are sent
// elsewhere, for this host's own connections on their way out too.
type wallPort struct {
	Proto     exposure.Proto `json:"proto"`
	Port      uint16         `json:"port"`
	Published bool           `json:"published"`
}

// wallStep keeps everybody out but who comes over loopback.
type wallStep struct {
	Tool  string     `json:"tool"` // nft or iptables
	Ports []wallPort `json:"ports"`
}

func wallPorts(c *Closure) (out []wallPort) {
	add := func(w wallPort) {
		i := slices.IndexFunc(out, func(x wallPort) bool { return x.Proto == w.Proto })
		if i < 0 {
			out = append(out, w)
			return
		}
		out[i].Published = out[i].Published || w.Published
	}
	for _, s := range c.sockets {
		add(wallPort{Proto: s.Proto, Port: s.Port})
	}
	for _, d := range c.published {
		add(wallPort{Proto: d.Proto, Port: c.Port.Port, Published: true})
	}
	return out
}

// wallSteps makes one step of all ports.
func (p *Plan) wallSteps(ctx context.Context, w *work) error {
	if len(w.wall) == 0 {
		return nil
	}
	s := &wallStep{}
	for _, x := range w.wall {
		if !slices.Contains(s.Ports, x) {
			s.Ports = append(s.Ports, x)
		}
	}
	if err := s.choose(ctx, p.o.Machine); err != nil {
		return err
	}
	p.Steps = append(p.Steps, s.step())
	for _, x := range p.seen.listeners() {
		if s.covers(x) && x.Scope != exposure.ScopeLoopback && p.walled(x) {
			p.goes(x)
		}
	}
	p.note("Firewall rules are not persistent: a reboot ends them, and the port is open again.")
	return nil
}

// walled reports a listener whose port is closed by the firewall alone.
func (p *Plan) walled(s *exposure.Socket) bool {
	return slices.ContainsFunc(p.Closures, func(c Closure) bool { return c.How == Firewall && c.covers(s.Proto, s.Port) })
}

func (s *wallStep) covers(x *exposure.Socket) bool {
	return slices.ContainsFunc(s.Ports, func(w wallPort) bool { return w.Proto == x.Proto && w.Port == x.Port })
}

// choose takes nft, or iptables where there is no nft.
func (s *wallStep) choose(ctx context.Context, m Machine) error {
	for _, c := range [][]string{{"nft", "list", "tables"}, {"iptables", "-t", "mangle", "-S", "PREROUTING"}} {
		_, err := m.Run(ctx, nil, c[0], c[1:]...)
		switch {
		case err == nil:
			s.Tool = c[0]
			return nil
		case !errors.Is(err, exec.ErrNotFound):
			return hinted(fail(remedy.NoPrivilege, "the firewall cannot be asked", err), "firewall rules are changed as root (CAP_NET_ADMIN)")
		}
	}
	return hinted(fail(remedy.NoProgram, "neither nft nor iptables is installed, so the firewall cannot close a port", nil), "install the package nftables")
}

func (s *wallStep) step() Step {
	var names []string
	for _, w := range s.Ports {
		names = append(names, Port{w.Proto, w.Port}.String())
	}
	out := Step{Kind: "firewall", Wall: s, What: "drop what comes to " + strings.Join(names, ", ") + " from anywhere but loopback"}
	if s.Tool == "nft" {
		for line := range strings.Lines(string(s.script("ID"))) {
			out.Commands = append(out.Commands, "nft "+quote(strings.TrimSpace(line)))
		}
		out.Undo = []string{"# remove these rules again; the table " + closedTable + " goes with the last of them"}
		return out
	}
	for _, c := range s.tables("-A", "ID") {
		out.Commands = append(out.Commands, command(c...))
	}
	out.Undo = []string{"# remove these rules again; the chain " + closedChain + " goes with the last of them"}
	return out
}

func tag(id string) string { return "portreeve close " + id }

// script is the transaction for nft: replies to this host's own connections
// from that port pass, and so does loopback; the rest is dropped before
// address translation sees it (priority -150: connection tracking is done,
// dstnat at -100 is not).
func (s *wallStep) script(id string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "add table %s\n", closedTable)
	fmt.Fprintf(&b, "add chain %s in { type filter hook prerouting priority -150; policy accept; }\n", closedTable)
	rule := func(chain, text string) {
		fmt.Fprintf(&b, "add rule %s %s %s comment %q\n", closedTable, chain, text, tag(id))
	}
	for _, w := range s.Ports {
		to := fmt.Sprintf("%s dport %d", w.Proto, w.Port)
		rule("in", to+" ct direction reply accept")
		rule("in", `iifname "lo" ip daddr 127.0.0.0/8 `+to+" accept")
		rule("in", `iifname "lo" ip6 daddr ::1 `+to+" accept")
		rule("in", to+" drop")
		if w.Published {
			fmt.Fprintf(&b, "add chain %s out { type filter hook output priority -150; policy accept; }\n", closedTable)
			rule("out", "fib daddr type local ip daddr != 127.0.0.0/8 "+to+" ct direction original drop")
			rule("out", "fib daddr type local ip6 daddr != ::1 "+to+" ct direction original drop")
		}
	}
	return b.Bytes()
}

// tables are the rules for iptables and ip6tables, at the same place.
func (s *wallStep) tables(op, id string) (out [][]string) {
	for _, tool := range []struct{ name, loopback string }{{"iptables", "127.0.0.0/8"}, {"ip6tables", "::1/128"}} {
		for _, w := range s.Ports {
			head := []string{tool.name, "-w", "-t", "mangle", op, closedChain, "-p", string(w.Proto), "--dport", fmt.Sprint(w.Port)}
			for _, match := range [][]string{{"-m", "conntrack", "--ctdir", "REPLY"}, {"-i", "lo", "-d", tool.loopback}, nil} {
				verdict := "RETURN"
				if match == nil {
					verdict = "DROP"
				}
				rule := append(slices.Clone(head), match...)
				out = append(out, append(rule, "-m", "comment", "--comment", tag(id), "-j", verdict))
			}
		}
	}
	return out
}

func (s *wallStep) do(ctx context.Context, r *run) error {
	r.Step("firewall")
	if s.Tool == "nft" {
		if _, err := r.Run(ctx, s.script(r.id), "nft", "-f", "-"); err != nil {
			return fail(remedy.Failed, "nft refused the rules", err)
		}
		return nil
	}
	for _, tool := range []string{"iptables", "ip6tables"} {
		if _, err := r.Run(ctx, nil, tool, "-w", "-t", "mangle", "-S", closedChain); err != nil {
			if _, err := r.Run(ctx, nil, tool, "-w", "-t", "mangle", "-N", closedChain); err != nil {
				return fail(remedy.Failed, tool+" could not make a chain", err)
			}
		}
		if _, err := r.Run(ctx, nil, tool, "-w", "-t", "mangle", "-C", "PREROUTING", "-j", closedChain); err != nil {
			if _, err := r.Run(ctx, nil, tool, "-w", "-t", "mangle", "-I", "PREROUTING", "1", "-j", closedChain); err != nil {
				return fail(remedy.Failed, tool+" could not hook a chain", err)
			}
		}
	}
	for _, c := range s.tables("-A", r.id) {
		r.Step(command(c...))
		if _, err := r.Run(ctx, nil, c[0], c[1:]...); err != nil {
			return fail(remedy.Failed, c[0]+" refused a rule", err)
		}
	}
	return nil
}

func (s *wallStep) undo(ctx context.Context, r *run) error {
	r.Step("firewall off")
	if s.Tool == "nft" {
		return s.undoNft(ctx, r)
	}
	for _, c := range s.tables("-D", r.id) {
		for range 4 { // once, or as often as a cut-off run left it
			if _, err := r.Run(ctx, nil, c[0], c[1:]...); err != nil {
				break
			}
		}
	}
	for _, tool := range []string{"iptables", "ip6tables"} {
		left, err := r.Run(ctx, nil, tool, "-w", "-t", "mangle", "-S", closedChain)
		switch {
		case err != nil:
			continue // there is no such chain
		case bytes.Contains(left, []byte(tag(r.id))):
			return fail(remedy.NotRestored, tool+" still has rules of this closing in "+closedChain, nil)
		case bytes.Contains(left, []byte("-A ")):
			continue // other closings
		}
		_, err = r.Run(ctx, nil, tool, "-w", "-t", "mangle", "-D", "PREROUTING", "-j", closedChain)
		_, err2 := r.Run(ctx, nil, tool, "-w", "-t", "mangle", "-X", closedChain)
		if err2 != nil {
			return fail(remedy.NotRestored, "chain "+closedChain+" could not be removed", errors.Join(err, err2))
		}
	}
	return nil
}

// undoNft deletes our rules by their handles, and the table with the last.
func (s *wallStep) undoNft(ctx context.Context, r *run) error {
	tables, err := r.Run(ctx, nil, "nft", "list", "tables")
	if err != nil {
		return fail(remedy.NotRestored, "the tables of nftables could not be listed", err)
	}
	if !slices.Contains(strings.Split(string(tables), "\n"), "table "+closedTable) {
		return nil
	}
	data, err := r.Run(ctx, nil, "nft", "-j", "-a", "list", "table", "inet", "portreeve_closed")
	if err != nil {
		return fail(remedy.NotRestored, "table "+closedTable+" could not be listed", err)
	}
	script, err := deletion(data, tag(r.id))
	if err != nil || len(script) == 0 {
		return err
	}
	if _, err := r.Run(ctx, script, "nft", "-f", "-"); err != nil {
		return fail(remedy.NotRestored, "the rules could not be removed", err)
	}
	return nil
}

// deletion is the transaction that deletes the rules with a comment; the whole
// table when it has no others.
func deletion(listing []byte, comment string) ([]byte, error) {
	var doc struct {
		Nftables []struct {
			Rule *struct {
				Chain, Comment string
				Handle         uint64
			}
		}
	}
	if err := json.Unmarshal(listing, &doc); err != nil {
		return nil, fail(remedy.NotRestored, "nft's listing of "+closedTable+" was not understood", err)
	}
	var b bytes.Buffer
	others := false
	for _, o := range doc.Nftables {
		switch {
		case o.Rule == nil:
		case o.Rule.Comment == comment:
			fmt.Fprintf(&b, "delete rule %s %s handle %d\n", closedTable, o.Rule.Chain, o.Rule.Handle)
		default:
			others = true
		}
	}
	if !others {
		return []byte("delete table " + closedTable + "\n"), nil
	}
	return b.Bytes(), nil
}

// changed: rules that are gone are gone; nothing of others is overwritten.
func (s *wallStep) changed(context.Context, *run) ([]Diff, error) { return nil, nil }
