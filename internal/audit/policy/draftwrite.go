package policy

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// quote writes a YAML double-quoted scalar (YAML 1.2, 7.3.1) on one line: what
// cannot be printed is escaped in ways that Go and YAML share.
func quote(s string) string { return strconv.Quote(strings.ToValidUTF8(s, "\uFFFD")) }

// remark is text that ends with its line.
func remark(s string) string {
	q := quote(s)
	return strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
}

func (in *DraftInput) write(list []draftEntry, others int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# What listens on %s, as found on %s.\n", remark(cmp.Or(in.Host, "this host")), in.Taken.UTC().Format(time.DateTime+" UTC"))
	b.WriteString("# Fill in each reason; take out what should not be open, and close it.\n")
	b.WriteString("# The form: docs/policy.md. Look it over with: portreeve policy check FILE\n")
	if others > 0 {
		fmt.Fprintf(&b, "# Listeners in other network namespaces (%d) are not part of it.\n", others)
	}
	b.WriteString("version: 1\n")
	if len(list) == 0 {
		b.WriteString("expect: [] # nothing listens\n")
	} else {
		b.WriteString("expect:\n")
	}
	for i := range list {
		if i == 0 || list[i].service() != list[i-1].service() {
			fmt.Fprintf(&b, "\n  # %s\n", remark(list[i].heading()))
		}
		list[i].write(&b)
	}
	in.writeProtected(&b, list)
	in.writeOperator(&b)
	return b.Bytes()
}

func (e *draftEntry) heading() string {
	if s := e.service(); s != "\x7f" {
		return s
	}
	return "no owner known"
}

func (e *draftEntry) write(b *bytes.Buffer) {
	for _, n := range e.notes {
		fmt.Fprintf(b, "  # %s\n", remark(n))
	}
	fmt.Fprintf(b, "  - port: %s\n", PortRange{Proto: e.proto, First: e.first, Last: e.last})
	for _, f := range []struct{ key, value string }{{"process", e.process}, {"unit", e.unit}} {
		if f.value != "" {
			fmt.Fprintf(b, "    %s: %s\n", f.key, quote(f.value))
		}
	}
	if e.scope != "" {
		fmt.Fprintf(b, "    scope: %s\n", e.scope)
	}
	if e.optional {
		b.WriteString("    optional: true\n")
	}
	fmt.Fprintf(b, "    reason: %s\n", quote("TODO: why is this open? ("+e.about+")"))
}

func (in *DraftInput) writeProtected(b *bytes.Buffer, list []draftEntry) {
	if in.Protected == nil {
		return
	}
	var told []PortRange
	for _, e := range list {
		port := PortRange{Proto: e.proto, First: e.first, Last: e.first}
		why := in.Protected(e.proto, e.first)
		if why == "" || slices.Contains(told, port) {
			continue
		}
		if len(told) == 0 {
			b.WriteString("\nprotected: # ports that nobody may close\n")
		}
		told = append(told, port)
		fmt.Fprintf(b, "  - port: %s\n    reason: %s\n", port, quote(why))
	}
}

// writeOperator writes it as a comment: where somebody sits today is no
// decision.
func (in *DraftInput) writeOperator(b *bytes.Buffer) {
	if in.Operator == "" {
		return
	}
	fmt.Fprintf(b, "\n# You came in from %s. To keep that way open in every rule set, write:\n", remark(in.Operator))
	fmt.Fprintf(b, "# operators:\n#   - from: %s\n#     ports: [%d/tcp]\n#     reason: administrators\n", remark(quote(in.Operator)), cmp.Or(in.Way, 22))
}
