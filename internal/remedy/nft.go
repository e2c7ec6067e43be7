package remedy

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/dialect/nftables"
)

// ourTable is the one table that is ours.
const ourTable = "inet portreeve"

const nftPackage = "nftables"

// nft keeps our rules in a table of their own. Saved is text for nft -f.
type nft struct{}

func (nft) Accept(text []byte) ([]byte, error) {
	s, err := scanNft(text)
	if err != nil {
		return nil, err
	}
	if !s.ours {
		return nil, fail(Invalid, "the text has no table "+ourTable, nil)
	}
	return withoutReset(text), nil
}

// withoutReset drops the lines at the head that delete the table as a whole:
// it is replaced anyway, and so keeps its place.
func withoutReset(text []byte) []byte {
	var out []byte
	head := true
	for line := range bytes.Lines(text) {
		words := strings.Join(strings.Fields(strings.TrimRight(string(line), " \t\r\n;")), " ")
		switch {
		case head && slices.Contains([]string{"delete table " + ourTable, "destroy table " + ourTable, "flush table " + ourTable}, words):
			line = []byte("\n")
		case words != "" && words[0] != '#' && words != "table "+ourTable && words != "add table "+ourTable:
			head = false
		}
		out = append(out, line...)
	}
	return append(bytes.TrimRight(out, "\n"), '\n')
}

// Model reads rules that are not loaded.
func (nft) Model(saved []byte) (*Present, error) {
	text, err := nftables.ReadText(bytes.NewReader(saved), nftables.TextOptions{})
	if err != nil {
		return nil, err
	}
	p := &Present{Text: saved}
	for _, t := range text.Tables {
		p.Chains = append(p.Chains, t.Chains...)
	}
	switch {
	case len(text.Missing) > 0:
		p.Doubt = text.Missing[0].Why
	case len(text.Problems) > 0:
		p.Doubt = fmt.Sprint(text.Problems[0])
	}
	return p, nil
}

func (nft) Read(ctx context.Context, run Runner) (*Present, error) {
	there, err := nftThere(ctx, run)
	if err != nil || !there {
		return &Present{}, err
	}
	p := &Present{}
	if p.Saved, err = listOurs(ctx, run); err != nil {
		return nil, err
	}
	plain, err := listOurs(ctx, run, "-s")
	if err != nil {
		return nil, err
	}
	p.Text, p.Normal = plain, steady(plain)
	data, err := listOurs(ctx, run, "-j")
	if err != nil {
		return nil, err
	}
	p.model(data)
	return p, nil
}

func nftThere(ctx context.Context, run Runner) (bool, error) {
	out, err := run(ctx, nil, "nft", "list", "tables")
	if err != nil {
		return false, wrong(Failed, "the tables of nftables could not be listed", nftPackage, err)
	}
	for line := range strings.Lines(string(out)) {
		if strings.TrimSpace(line) == "table "+ourTable {
			return true, nil
		}
	}
	return false, nil
}

func listOurs(ctx context.Context, run Runner, flags ...string) ([]byte, error) {
	out, err := run(ctx, nil, "nft", append(flags, "list", "table", "inet", "portreeve")...)
	return out, wrong(Failed, "table "+ourTable+" could not be listed", nftPackage, err)
}

// model reads nft's JSON into the rule model.
func (p *Present) model(data []byte) {
	facts := nftables.Facts{Dormant: map[nftables.TableID]bool{{Family: "inet", Name: "portreeve"}: headerHas(p.Saved, "flags", "dormant")}}
	tables, err := nftables.Read(bytes.NewReader(data), facts)
	if err != nil {
		p.Doubt = err.Error()
		return
	}
	for _, t := range tables {
		p.Chains = append(p.Chains, t.Chains...)
		if t.Extensions {
			p.Doubt = "rules use x_tables extensions whose arguments nft does not show"
		}
	}
	for _, o := range nftObjects(data) {
		if hook := o.Hook; hook != "" && !slices.Contains([]string{"input", "forward", "output", "prerouting", "postrouting"}, hook) {
			p.Doubt = fmt.Sprintf("chain %s is at hook %s, which the model does not have", o.Name, hook)
		}
	}
}

// headerHas reports a line such as "flags dormant" at the head of a listing.
func headerHas(listing []byte, key, value string) bool {
	for line := range strings.Lines(string(listing)) {
		f := strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" \t\n,;", r) })
		switch {
		case len(f) == 0 || f[0] == "table":
		case strings.HasPrefix(line, "\t\t") || strings.HasSuffix(strings.TrimSpace(line), "{"):
			return false
		case f[0] == key && (value == "" || slices.Contains(f[1:], value)):
			return true
		}
	}
	return false
}

func (n nft) Put(ctx context.Context, run Runner, saved []byte, check bool) error {
	script, err := n.script(ctx, run, saved)
	if err != nil || len(script) == 0 {
		return err
	}
	args := []string{"-f", "-"}
	if check {
		args = append([]string{"-c"}, args...)
	}
	_, err = run(ctx, script, "nft", args...)
	return wrong(Invalid, "nft refused the rules, and nothing was changed by them", nftPackage, err)
}

// script is one transaction. A table that is there is emptied and filled
// again, not deleted: it keeps its place among the tables.
func (nft) script(ctx context.Context, run Runner, saved []byte) ([]byte, error) {
	there, err := nftThere(ctx, run)
	if err != nil {
		return nil, err
	}
	switch {
	case !there:
		return saved, nil
	case len(saved) == 0:
		return []byte("delete table " + ourTable + "\n"), nil
	}
	now, err := listOurs(ctx, run)
	if err != nil {
		return nil, err
	}
	if wanted, err := scanNft(saved); err != nil || wanted.header || headerHas(now, "flags", "") || headerHas(now, "comment", "") {
		return append([]byte("delete table "+ourTable+"\n"), saved...), err
	}
	data, err := listOurs(ctx, run, "-j")
	if err != nil {
		return nil, err
	}
	return append(emptied(nftObjects(data)), saved...), nil
}

// nftObject is one thing in a table.
type nftObject struct {
	Kind string `json:"-"`
	Name string `json:"name"`
	Hook string `json:"hook"`
}

// nftObjects lists a table's chains, sets and objects in the listing's order.
func nftObjects(data []byte) (out []nftObject) {
	var doc struct {
		Nftables []map[string]json.RawMessage `json:"nftables"`
	}
	if json.Unmarshal(data, &doc) != nil {
		return nil
	}
	for _, entry := range doc.Nftables {
		for kind, raw := range entry {
			o := nftObject{Kind: kind}
			if kind != "metainfo" && kind != "table" && kind != "rule" && json.Unmarshal(raw, &o) == nil && o.Name != "" {
				out = append(out, o)
			}
		}
	}
	return out
}

// emptied deletes everything in the table: what refers to others first.
func emptied(objects []nftObject) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "flush table %s\n", ourTable)
	rank := func(o nftObject) int {
		switch o.Kind {
		case "map", "set":
			return 0
		case "chain":
			return 1
		}
		return 2
	}
	for r := range 3 {
		for _, o := range objects {
			if rank(o) == r {
				fmt.Fprintf(&b, "delete %s %s %s\n", o.Kind, ourTable, o.Name)
			}
		}
	}
	return b.Bytes()
}

// steady drops from a listing the elements of sets that packets or time
// change.
func steady(listing []byte) []byte {
	var out, block []string
	moving := false
	flush := func() {
		out = append(out, block...)
		block, moving = nil, false
	}
	inElements := false
	for line := range strings.Lines(string(listing)) {
		trimmed := strings.TrimSpace(line)
		if strings.HasPrefix(line, "\t") && !strings.HasPrefix(line, "\t\t") && strings.HasSuffix(trimmed, "{") {
			flush()
		}
		if strings.HasPrefix(trimmed, "flags ") && (strings.Contains(trimmed, "dynamic") || strings.Contains(trimmed, "timeout")) {
			moving = true
		}
		inElements = inElements || moving && strings.HasPrefix(trimmed, "elements = {")
		if !inElements {
			block = append(block, line)
		}
		inElements = inElements && !strings.HasSuffix(trimmed, "}")
	}
	flush()
	return []byte(strings.Join(out, ""))
}
