package nftables

import (
	_ "embed" // the tables below
	"fmt"
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

//go:embed names.tsv
var namesData string

//go:embed fields.tsv
var fieldsData string

// fieldSpec is a line of fields.tsv.
type fieldSpec struct {
	field ruleset.Field
	kind  string // type of its values: a column of names.tsv, number, addr, name, mac
	needs string // v4, v6 or a protocol number
}

func rows(data string) [][]string {
	var out [][]string
	for line := range strings.Lines(data) {
		line = strings.TrimRight(line, "\n")
		if line != "" && !strings.HasPrefix(line, "#") {
			out = append(out, strings.Split(line, "\t"))
		}
	}
	return out
}

func readNames(data string) (map[string]map[string]uint64, error) {
	out := map[string]map[string]uint64{}
	for _, row := range rows(data) {
		if len(row) != 3 {
			return nil, fmt.Errorf("names.tsv: %q: want three columns", row)
		}
		n, err := strconv.ParseUint(row[2], 10, 32)
		if err != nil {
			return nil, fmt.Errorf("names.tsv: %w", err)
		}
		if out[row[0]] == nil {
			out[row[0]] = map[string]uint64{}
		}
		out[row[0]][row[1]] = n
	}
	return out, nil
}

func readFields(data string) (map[string]fieldSpec, error) {
	out := map[string]fieldSpec{}
	for _, row := range rows(data) {
		if len(row) < 3 {
			return nil, fmt.Errorf("fields.tsv: %q: want three columns", row)
		}
		f, ok := ruleset.FieldNamed(row[1])
		if !ok {
			return nil, fmt.Errorf("fields.tsv: no field %q", row[1])
		}
		spec := fieldSpec{field: f, kind: row[2]}
		if len(row) > 3 {
			spec.needs = row[3]
		}
		out[row[0]] = spec
	}
	return out, nil
}
