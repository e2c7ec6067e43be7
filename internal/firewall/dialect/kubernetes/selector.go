package kubernetes

import (
	"fmt"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/dialect/document"
)

// selector is a LabelSelector: all requirements have to hold.
type selector struct {
	needs []requirement
	bad   string // why it is not understood
}

// requirement is on one label: its value is in values (In, with one value for
// matchLabels), not in them, the label is there, or it is not.
type requirement struct {
	key, op string
	values  []string
}

func readSelector(n *document.Node) (s selector) {
	if k := n.Kind(); k != document.Map && k > document.Null {
		s.bad = "a selector that is no object"
	}
	for k, v := range n.Get("matchLabels").Fields() {
		s.needs = append(s.needs, requirement{k, "In", []string{v.Text()}})
	}
	for e := range n.Get("matchExpressions").Items() {
		q := requirement{e.Get("key").Text(), e.Get("operator").Text(), e.Get("values").Texts()}
		switch q.op {
		case "In", "NotIn", "Exists", "DoesNotExist":
		default:
			s.bad = fmt.Sprintf("the operator %q of a selector", q.op)
		}
		slices.Sort(q.values)
		s.needs = append(s.needs, q)
	}
	slices.SortFunc(s.needs, func(a, b requirement) int { return strings.Compare(a.String(), b.String()) })
	return s
}

func (q requirement) String() string {
	switch {
	case q.op == "In" && len(q.values) == 1:
		return q.key + "=" + q.values[0]
	case q.op == "Exists":
		return q.key
	case q.op == "DoesNotExist":
		return "!" + q.key
	case q.op == "NotIn" && len(q.values) == 1:
		return q.key + "!=" + q.values[0]
	}
	return fmt.Sprintf("%s %s (%s)", q.key, strings.ToLower(q.op), strings.Join(q.values, ","))
}

// String writes the selector as kubectl takes it.
func (s selector) String() string {
	words := make([]string, len(s.needs))
	for i, q := range s.needs {
		words[i] = q.String()
	}
	return strings.Join(words, ",")
}

func (s selector) empty() bool { return len(s.needs) == 0 && s.bad == "" }

// matches reports whether labels meet the selector.
func (s selector) matches(labels map[string]string) bool {
	return !slices.ContainsFunc(s.needs, func(q requirement) bool { return !q.holds(labels) })
}

func (q requirement) holds(labels map[string]string) bool {
	v, has := labels[q.key]
	switch q.op {
	case "In":
		return has && slices.Contains(q.values, v)
	case "NotIn":
		return !has || !slices.Contains(q.values, v)
	case "Exists":
		return has
	}
	return !has
}

// implies reports that what meets s meets o: every need of o is one of s.
func (s selector) implies(o selector) bool {
	return o.bad == "" && !slices.ContainsFunc(o.needs, func(q requirement) bool {
		return !slices.ContainsFunc(s.needs, func(have requirement) bool { return have.String() == q.String() })
	})
}

// excludes reports that nothing can meet both: they want different values of
// one label.
func (s selector) excludes(o selector) bool {
	for _, a := range s.needs {
		for _, b := range o.needs {
			if a.key == b.key && a.op == "In" && b.op == "In" && !slices.ContainsFunc(a.values, func(v string) bool { return slices.Contains(b.values, v) }) {
				return true
			}
		}
	}
	return false
}
