package policy

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/portreeve/portreeve/internal/exposure"
)

// PortRange is `22`, `22/tcp` or `8000-8010/udp`. Line and Column are where it
// stands.
type PortRange struct {
	Proto       exposure.Proto
	First, Last uint16
	Line        int
	Column      int
}

func (r PortRange) String() string {
	if r.First == r.Last {
		return fmt.Sprintf("%d/%s", r.First, r.Proto)
	}
	return fmt.Sprintf("%d-%d/%s", r.First, r.Last, r.Proto)
}

// ParsePorts reads `22`, `22/tcp`, `8000-8010/udp`.
func ParsePorts(s string) (PortRange, error) {
	ports, proto, has := strings.Cut(s, "/")
	r := PortRange{Proto: exposure.TCP}
	if has {
		r.Proto = exposure.Proto(strings.ToLower(proto))
	}
	switch r.Proto {
	case exposure.TCP, exposure.UDP, exposure.SCTP, exposure.DCCP, exposure.UDPLite:
	default:
		return r, fmt.Errorf("%q: the protocol is tcp, udp, sctp, dccp or udplite", s)
	}
	first, last, isRange := strings.Cut(ports, "-")
	if !isRange {
		last = first
	}
	a, errA := strconv.ParseUint(first, 10, 16)
	b, errB := strconv.ParseUint(last, 10, 16)
	if errA != nil || errB != nil || a == 0 || b < a {
		return r, fmt.Errorf("%q is no port (write 22, 22/tcp or 8000-8010/udp)", s)
	}
	r.First, r.Last = uint16(a), uint16(b)
	return r, nil
}

// UnmarshalYAML reads the range and remembers its line.
func (r *PortRange) UnmarshalYAML(n ast.Node) error {
	got, err := ParsePorts(scalar(n))
	if err != nil {
		return at(n, err)
	}
	got.Line, got.Column = place(n)
	*r = got
	return nil
}

// ScopeName is one of the contract's scopes.
type ScopeName string

// UnmarshalYAML refuses what is no scope.
func (s *ScopeName) UnmarshalYAML(n ast.Node) error {
	v := scalar(n)
	if _, ok := scopeOrder[exposure.Scope(v)]; !ok {
		return at(n, fmt.Errorf("%q is no scope (loopback, link, private, public, any)", v))
	}
	*s = ScopeName(v)
	return nil
}

// Prefix is an address or a CIDR prefix.
type Prefix struct{ netip.Prefix }

// UnmarshalYAML reads 10.0.0.1 as 10.0.0.1/32.
func (p *Prefix) UnmarshalYAML(n ast.Node) error {
	v := scalar(n)
	if a, err := netip.ParseAddr(v); err == nil && a.Zone() == "" {
		p.Prefix = netip.PrefixFrom(a, a.BitLen())
		return nil
	}
	pre, err := netip.ParsePrefix(v)
	if err != nil {
		return at(n, fmt.Errorf("%q is no address or prefix (10.0.0.0/8, 2001:db8::/32)", v))
	}
	p.Prefix = pre.Masked()
	return nil
}

// Date is a day in UTC.
type Date struct{ time.Time }

// UnmarshalYAML reads 2027-01-31.
func (d *Date) UnmarshalYAML(n ast.Node) error {
	t, err := time.Parse(time.DateOnly, scalar(n))
	if err != nil {
		return at(n, fmt.Errorf("%q is no day (write 2027-01-31)", scalar(n)))
	}
	d.Time = t
	return nil
}

func scalar(n ast.Node) string {
	if s, ok := n.(*ast.StringNode); ok {
		return s.Value
	}
	if _, ok := n.(ast.ScalarNode); ok && n.GetToken() != nil {
		return n.GetToken().Value
	}
	return strings.TrimSpace(n.String())
}

func place(n ast.Node) (line, column int) {
	if n == nil {
		return 0, 0
	}
	if tok := n.GetToken(); tok != nil && tok.Position != nil {
		return tok.Position.Line, tok.Position.Column
	}
	return 0, 0
}

func line(n ast.Node) int {
	l, _ := place(n)
	return l
}

func at(n ast.Node, err error) error {
	l, c := place(n)
	return &Error{Line: l, Column: c, What: err.Error()}
}

// asError keeps our own errors and gives the library's the same shape.
func asError(err error) error {
	var own *Error
	if errors.As(err, &own) {
		return own
	}
	if errors.Is(err, io.EOF) {
		return &Error{What: "the file is empty (a policy begins with `version: 1`)"}
	}
	var lib yaml.Error
	if !errors.As(err, &lib) {
		return &Error{What: err.Error()}
	}
	out := &Error{What: lib.GetMessage()}
	if tok := lib.GetToken(); tok != nil && tok.Position != nil {
		out.Line, out.Column = tok.Position.Line, tok.Position.Column
	}
	return out
}

// oneDocument refuses several YAML documents in one file: all but the first
// would be ignored without a word.
func oneDocument(b []byte) error {
	f, err := parser.ParseBytes(b, 0)
	if err != nil {
		return asError(err)
	}
	if len(f.Docs) > 1 {
		return &Error{Line: docLine(f.Docs[1]), What: "a second YAML document begins here; a policy is one document"}
	}
	if len(f.Docs) == 0 || f.Docs[0].Body == nil {
		return asError(io.EOF)
	}
	return nil
}

func docLine(d *ast.DocumentNode) int {
	if d.Body == nil {
		return 0
	}
	return line(d.Body)
}
