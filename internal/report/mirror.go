package report

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/traffic/mirror"
	"github.com/portreeve/portreeve/internal/traffic/span"
)

// mirrorAnswers are the first lines of check-mirror.
func mirrorAnswer(v mirror.Verdict) string {
	switch v {
	case mirror.BothWays:
		return "yes: it is fed by a mirror port, both directions"
	case mirror.OneDirection:
		return "half: copies of one direction only"
	case mirror.NotMirrored:
		return "no: only what any port of a switch gets"
	case mirror.OwnOnly:
		return "no: only this host's own traffic"
	case mirror.TooLittle:
		return "cannot tell yet: too little traffic"
	}
	return "nothing was seen"
}

// MirrorText says whether an interface is fed by a mirror port.
func MirrorText(w io.Writer, iface string, r *mirror.Result, st Style) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s.\n", Escape(iface), mirrorAnswer(r.Verdict))
	for _, s := range r.Because {
		b.WriteString(strings.Join(wrap(Escape(s), st.Width, 2), "\n") + "\n")
	}
	if len(r.Next) > 0 {
		b.WriteString("Next:\n")
	}
	for _, s := range r.Next {
		b.WriteString(strings.Join(wrap(Escape(s), st.Width, 2), "\n") + "\n")
	}
	if st.Verbose {
		mirrorCounts(&b, r)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func mirrorCounts(b *strings.Builder, r *mirror.Result) {
	fmt.Fprintf(b, "\n%-34s %s in %.1f s\n", "packets", thousands(int(r.Packets)), r.Seconds)
	for _, c := range []struct {
		name string
		n    int
	}{
		{"neither from nor to this host", int(r.Foreign)}, {"broadcast and multicast", int(r.Group)},
		{"from or to this host", int(r.Own)}, {"forwarded by this host", int(r.Through)},
		{"conversations of others", r.Conversations}, {"seen both ways", r.TwoWay}, {"whole TCP handshakes", r.Handshakes},
		{"copies", int(r.Duplicates)}, {"copies with another TTL", int(r.RoutedDuplicates)}, {"dropped here", int(r.Dropped + r.IfDropped)},
	} {
		fmt.Fprintf(b, "%-34s %s\n", c.name, thousands(c.n))
	}
	for _, v := range r.VLANs {
		fmt.Fprintf(b, "%-34s %s\n", "VLAN "+strconv.Itoa(int(v.ID)), thousands(int(v.Packets)))
	}
}

// mirrorDocument is portreeve.mirror/1.
type mirrorDocument struct {
	Schema        string         `json:"schema"`
	Taken         time.Time      `json:"taken"`
	Host          string         `json:"host"`
	Incomplete    []exposure.Gap `json:"incomplete"`
	Interface     string         `json:"interface"`
	Verdict       string         `json:"verdict"`
	Because       []string       `json:"because"`
	Next          []string       `json:"next"`
	Packets       uint64         `json:"packets"`
	Bytes         uint64         `json:"bytes"`
	Seconds       float64        `json:"seconds"`
	Foreign       uint64         `json:"foreign"`
	Group         uint64         `json:"group"`
	Own           uint64         `json:"own"`
	Through       uint64         `json:"through"`
	Conversations int            `json:"conversations"`
	TwoWay        int            `json:"two_way"`
	Handshakes    int            `json:"handshakes"`
	Duplicates    uint64         `json:"duplicates"`
	RoutedCopies  uint64         `json:"routed_duplicates"`
	Dropped       uint64         `json:"dropped"`
	VLANs         []mirrorVLAN   `json:"vlans"`
}

type mirrorVLAN struct {
	ID      uint16 `json:"id"`
	Packets uint64 `json:"packets"`
}

// MirrorJSON writes portreeve.mirror/1.
func MirrorJSON(w io.Writer, host, iface string, r *mirror.Result, gaps []exposure.Gap) error {
	d := mirrorDocument{
		Schema: "portreeve.mirror/1", Taken: time.Now().UTC(), Host: host, Incomplete: notNil(gaps), Interface: iface,
		Verdict: r.Verdict.String(), Because: notNil(r.Because), Next: notNil(r.Next), Packets: r.Packets, Bytes: r.Bytes, Seconds: r.Seconds,
		Foreign: r.Foreign, Group: r.Group, Own: r.Own, Through: r.Through, Conversations: r.Conversations, TwoWay: r.TwoWay,
		Handshakes: r.Handshakes, Duplicates: r.Duplicates, RoutedCopies: r.RoutedDuplicates, Dropped: r.Dropped + r.IfDropped, VLANs: []mirrorVLAN{},
	}
	for _, v := range r.VLANs {
		d.VLANs = append(d.VLANs, mirrorVLAN{v.ID, v.Packets})
	}
	return JSON(w, d)
}

func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// SpanText prints what to type on a switch.
func SpanText(w io.Writer, p *span.Plan, st Style) error {
	var b strings.Builder
	for _, part := range []struct {
		head  string
		lines []string
	}{{"Set up:", p.Setup}, {"Check:", p.Check}, {"Undo:", p.Undo}} {
		b.WriteString(part.head + "\n")
		for _, l := range part.lines {
			b.WriteString("  " + Escape(l) + "\n")
		}
		b.WriteByte('\n')
	}
	for _, n := range p.Notes {
		b.WriteString(strings.Join(wrap("Note: "+Escape(n), st.Width, 0), "\n") + "\n")
	}
	b.WriteString("Then, where you listen:\n  portreeve traffic check-mirror -i IFACE\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// SpanJSON writes portreeve.span/1.
func SpanJSON(w io.Writer, vendor string, p *span.Plan) error {
	return JSON(w, struct {
		Schema string   `json:"schema"`
		Vendor string   `json:"vendor"`
		Setup  []string `json:"setup"`
		Check  []string `json:"check"`
		Undo   []string `json:"undo"`
		Notes  []string `json:"notes"`
	}{"portreeve.span/1", vendor, notNil(p.Setup), notNil(p.Check), notNil(p.Undo), notNil(p.Notes)})
}

// SpanVendors lists the switches that are known.
func SpanVendors(w io.Writer, all []span.Vendor, st Style) error {
	var rows [][]string
	for _, v := range all {
		rows = append(rows, []string{v.Name, v.Title, v.Source, v.Destination})
	}
	return writeTable(w, st, []column{{head: "VENDOR"}, {head: "SWITCHES", min: 12}, {head: "SOURCE"}, {head: "DESTINATION"}}, rows)
}
