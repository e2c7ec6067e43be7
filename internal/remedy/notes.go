package remedy

import (
	"bytes"
	"context"
	_ "embed" // the table below
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed data/firewalls.tsv
var firewallsData string

// backups lists every rule set of this network namespace: as text to read
// and load again, and as JSON. Legacy tables are asked for only where they
// exist, since asking makes them.
func backups(ctx context.Context, m Machine) (map[string][]byte, error) {
	out := map[string][]byte{}
	for name, args := range map[string][]string{"nftables.nft": {"list", "ruleset"}, "nftables.json": {"-j", "list", "ruleset"}} {
		data, err := m.Run(ctx, nil, "nft", args...)
		switch {
		case err == nil:
			out[name] = data
		case !missing(err):
			return nil, fail(Failed, "the present rules could not be backed up", err)
		}
	}
	for file, program := range map[string]string{"ip_tables_names": "iptables", "ip6_tables_names": "ip6tables"} {
		data, err := legacyBackup(ctx, m, file, program)
		if err != nil {
			return nil, err
		}
		if data != nil {
			out[program+"-legacy.rules"] = data
		}
	}
	return out, nil
}

func legacyBackup(ctx context.Context, m Machine, file, program string) ([]byte, error) {
	names, err := os.ReadFile(filepath.Join(m.Proc, "thread-self", "net", file))
	if errors.Is(err, os.ErrNotExist) || err == nil && len(bytes.TrimSpace(names)) == 0 {
		return nil, nil
	}
	var out []byte
	for _, table := range strings.Fields(string(names)) {
		data, err := m.Run(ctx, nil, program+"-legacy-save", "-c", "-t", table)
		if err != nil {
			return nil, wrong(Failed, "the present legacy rules could not be backed up", iptablesPackage, err)
		}
		out = append(out, data...)
	}
	return out, nil
}

// notes says what whoever applies the plan should know.
func (p *Plan) notes(backup map[string][]byte) {
	p.note("It is taken back by itself after %s unless it is confirmed.", p.Within)
	p.note("It is not persistent: a reboot ends it.")
	if slices.ContainsFunc(p.Parts, func(x Part) bool { return x.Backend == "nft" }) {
		p.note("Table %s is one more table: a packet must pass it and every other one. What others drop stays dropped, and what others accept is dropped here unless these rules permit it.", ourTable)
	}
	for _, x := range p.Parts {
		if x.Backend != "nft" && bytes.Contains(x.Will, []byte("-j ACCEPT")) {
			p.note("%s: our chains come first; what they accept, the rules after them in the same chain no longer see.", x.Backend)
		}
	}
	for _, line := range firewallsHere(backup) {
		p.note("%s", line)
	}
	if len(p.Sessions) == 0 {
		p.note("No remote session was found here, so none is protected.")
	}
}

func (p *Plan) note(format string, args ...any) {
	p.Notes = append(p.Notes, fmt.Sprintf(format, args...))
}

// firewallsHere names other programs' rules.
func firewallsHere(backup map[string][]byte) (out []string) {
	for line := range strings.Lines(firewallsData) {
		f := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if strings.HasPrefix(line, "#") || len(f) != 3 {
			continue
		}
		said := "Rules of " + f[1] + " are here: " + f[2] + "."
		for name, data := range backup {
			if filepath.Ext(name) != ".json" && bytes.Contains(data, []byte(f[0])) && !slices.Contains(out, said) {
				out = append(out, said)
			}
		}
	}
	return out
}

// noteOnce adds a sentence that may come again when the plan is made.
func (p *Plan) noteOnce(s string) {
	if !slices.Contains(p.Notes, s) {
		p.Notes = append(p.Notes, s)
	}
}
