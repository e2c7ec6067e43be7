package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/internal/knowledge/registry"
)

const (
	tableFile    = "registry.tab"
	manifestFile = "registry.json"
	namesFile    = "names.tsv"
)

// manifest says what the committed table was made from.
type manifest struct {
	Package     string         `json:"package"`
	Version     string         `json:"version"`
	Licence     string         `json:"licence"`
	InputSHA256 string         `json:"input_sha256"`
	NamesSHA256 string         `json:"names_sha256"`
	TableSHA256 string         `json:"table_sha256"`
	InputCount  int            `json:"input_entries"`
	Entries     map[string]int `json:"entries"`
	Named       map[string]int `json:"named"`
}

func convertRegistry(data, input string) error {
	source, err := os.ReadFile(input)
	if err != nil {
		return err
	}
	names, err := os.ReadFile(filepath.Join(data, namesFile))
	if err != nil {
		return err
	}
	table, m, err := buildRegistry(source, names)
	if err != nil {
		return fmt.Errorf("convert %s: %w", input, err)
	}
	if err := m.readPackage(filepath.Join(filepath.Dir(input), "package.json")); err != nil {
		return err
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	if err := writeChanged(filepath.Join(data, tableFile), table); err != nil {
		return err
	}
	return writeChanged(filepath.Join(data, manifestFile), append(text, '\n'))
}

// checkRegistry proves that the table is the one that the manifest describes
// and that the names file has not moved on without it.
func checkRegistry(data string) error {
	text, err := os.ReadFile(filepath.Join(data, manifestFile))
	if err != nil {
		return err
	}
	var m manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return fmt.Errorf("read %s: %w", manifestFile, err)
	}
	for name, want := range map[string]string{tableFile: m.TableSHA256, namesFile: m.NamesSHA256} {
		b, err := os.ReadFile(filepath.Join(data, name))
		if err != nil {
			return err
		}
		if sum(b) != want {
			return fmt.Errorf("%s is not the file that %s describes: run gen with -registry", name, manifestFile)
		}
	}
	return nil
}

// readPackage notes the input's version from the package.json beside it.
func (m *manifest) readPackage(path string) error {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var p struct{ Name, Version, License string }
	if err := json.Unmarshal(text, &p); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	m.Package, m.Version, m.Licence = p.Name, p.Version, p.License
	return nil
}

func buildRegistry(source, names []byte) ([]byte, *manifest, error) {
	entries, err := parseSource(source)
	if err != nil {
		return nil, nil, err
	}
	input := len(entries)
	if err := applyNames(entries, names); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", namesFile, err)
	}
	list := make([]registry.Entry, 0, len(entries))
	m := &manifest{InputCount: input, Entries: map[string]int{}, Named: map[string]int{}}
	for _, e := range entries {
		list = append(list, e)
		m.Entries[e.Transport.String()]++
		if len(e.Names) > 0 {
			m.Named[e.Transport.String()]++
		}
	}
	table, err := registry.Encode(list)
	if err != nil {
		return nil, nil, err
	}
	m.InputSHA256, m.NamesSHA256, m.TableSHA256 = sum(source), sum(names), sum(table)
	return table, m, nil
}

type key struct {
	transport registry.Transport
	port      uint16
}

// parseSource reads {"22/tcp": ["ssh", "The Secure Shell …"], …}.
func parseSource(source []byte) (map[key]registry.Entry, error) {
	var raw map[string][]string
	if err := json.Unmarshal(source, &raw); err != nil {
		return nil, err
	}
	entries := make(map[key]registry.Entry, len(raw))
	for at, v := range raw {
		k, last, err := parseKey(at)
		if err != nil {
			return nil, err
		}
		if last != k.port || len(v) != 2 {
			return nil, fmt.Errorf("%q: expected one port with a name and a description", at)
		}
		if _, twice := entries[k]; twice {
			return nil, fmt.Errorf("%q occurs twice", at)
		}
		entries[k] = registry.Entry{
			Transport: k.transport, Port: k.port,
			Names: strings.Fields(v[0]), Description: clean(v[1]),
		}
	}
	return entries, nil
}

// applyNames adds what data/names.tsv says to the entries.
func applyNames(entries map[key]registry.Entry, text []byte) error {
	for i, line := range bytes.Split(text, []byte("\n")) {
		s := strings.TrimSpace(string(line))
		if s == "" || s[0] == '#' {
			continue
		}
		if err := applyLine(entries, s); err != nil {
			return fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	return nil
}

func applyLine(entries map[key]registry.Entry, line string) error {
	cols := strings.Split(line, "\t")
	if len(cols) < 2 || len(cols) > 3 {
		return errors.New("expected port/transport, names and perhaps a description, separated by tabs")
	}
	k, last, err := parseKey(cols[0])
	if err != nil {
		return err
	}
	names := strings.Fields(cols[1])
	for port := int(k.port); port <= int(last); port++ {
		at := key{k.transport, uint16(port)}
		e := entries[at]
		if n := e.Name(); n != "" && !contains(names, n) {
			return fmt.Errorf("%s: the input calls it %q, which the line leaves out", cols[0], n)
		}
		e.Transport, e.Port, e.Names = at.transport, at.port, names
		if len(cols) == 3 {
			e.Description = clean(cols[2])
		}
		entries[at] = e
	}
	return nil
}

// parseKey reads "22/tcp" or "6000-6063/tcp".
func parseKey(s string) (first key, last uint16, err error) {
	ports, transport, _ := strings.Cut(s, "/")
	t, ok := registry.ParseTransport(transport)
	if !ok {
		return first, 0, fmt.Errorf("%q: unknown transport", s)
	}
	from, to, isRange := strings.Cut(ports, "-")
	if !isRange {
		to = from
	}
	a, err := strconv.ParseUint(from, 10, 16)
	if err != nil {
		return first, 0, fmt.Errorf("%q: %w", s, err)
	}
	b, err := strconv.ParseUint(to, 10, 16)
	if err != nil || b < a {
		return first, 0, fmt.Errorf("%q: no port range", s)
	}
	return key{t, uint16(a)}, uint16(b), nil
}

func contains(names []string, name string) bool {
	for _, n := range names {
		if strings.EqualFold(n, name) {
			return true
		}
	}
	return false
}

func clean(s string) string { return strings.Join(strings.Fields(s), " ") }

func sum(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}
