package report

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// PolicySchema is the document of `portreeve policy check --json`.
const PolicySchema = "portreeve.policy-check/1"

// PolicyCheck is what a look at a policy file found.
type PolicyCheck struct {
	Taken             time.Time
	Host, File        string
	At                time.Time // the day that expiry was judged by
	For               string    // the host or role that was asked for; "" for the whole file
	Roles             []string  // those that hold
	Expect, Protected int       // entries
	Findings          []PolicyFinding
}

// PolicyFinding is one of them. Line and Column are 0 where not known.
type PolicyFinding struct {
	Rule     string            `json:"rule"`
	Severity exposure.Severity `json:"severity"`
	Line     int               `json:"line"`
	Column   int               `json:"column"`
	Entry    string            `json:"entry"`
	What     string            `json:"what"`
	Hint     string            `json:"hint"`
}

type policyDoc struct {
	Schema     string          `json:"schema"`
	Taken      time.Time       `json:"taken"`
	Host       string          `json:"host"`
	Incomplete []exposure.Gap  `json:"incomplete"`
	File       string          `json:"file"`
	At         string          `json:"at"`
	For        string          `json:"for"`
	Roles      []string        `json:"roles"`
	Expect     int             `json:"expect"`
	Protected  int             `json:"protected"`
	Findings   []PolicyFinding `json:"findings"`
}

// PolicyCheckJSON writes portreeve.policy-check/1.
func PolicyCheckJSON(w io.Writer, c *PolicyCheck) error {
	return JSON(w, &policyDoc{Schema: PolicySchema, Taken: c.Taken, Host: c.Host, Incomplete: []exposure.Gap{}, File: c.File,
		At: c.At.Format(time.DateOnly), For: c.For, Roles: append([]string{}, c.Roles...),
		Expect: c.Expect, Protected: c.Protected, Findings: append([]PolicyFinding{}, c.Findings...)})
}

// PolicyCheckText says it to people, a finding a line and its hint below.
func PolicyCheckText(w io.Writer, c *PolicyCheck, st Style) error {
	var b strings.Builder
	head := fmt.Sprintf("%s: %s, %s", Escape(c.File), amount(c.Expect, "entry", "entries"), amount(c.Protected, "protected port", "protected ports"))
	if c.For != "" {
		head += " for " + Escape(c.For)
	}
	if len(c.Roles) > 0 {
		head += "; roles: " + Escape(strings.Join(c.Roles, ", "))
	}
	if len(c.Findings) == 0 {
		head += ". Nothing to say against it"
	}
	for _, l := range para(head+".", st.Width, 2) {
		b.WriteString(l + "\n")
	}
	for i := range c.Findings {
		b.WriteString(policyFindingText(&c.Findings[i], st))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func policyFindingText(f *PolicyFinding, st Style) string {
	place := "line ?"
	if f.Line > 0 {
		place = fmt.Sprintf("line %d", f.Line)
	}
	text := fmt.Sprintf("%s  %s  %s  %s", place, st.paint(severityColor(f.Severity), string(f.Severity)), f.Rule, Escape(f.Entry))
	out := []string{text}
	out = append(out, para("  "+sentence(Escape(f.What)), st.Width, 2)...)
	if f.Hint != "" {
		out = append(out, para("  "+sentence(Escape(f.Hint)), st.Width, 2)...)
	}
	return strings.Join(out, "\n") + "\n"
}
