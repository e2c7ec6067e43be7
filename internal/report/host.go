package report

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// HostText prints listeners as a table, one block for each namespace when
// there are several.
func HostText(w io.Writer, snap *exposure.Snapshot, st Style) error {
	groups := byNamespace(snap)
	for i, g := range groups {
		if len(groups) > 1 {
			if i > 0 {
				fmt.Fprintln(w)
			}
			fmt.Fprintln(w, st.paint(bold, namespaceTitle(g[0].NetNS, snap.Self)))
		}
		if err := hostTable(w, g, st); err != nil {
			return err
		}
	}
	if len(snap.Sockets) == 0 {
		_, err := fmt.Fprintln(w, "No listener found.")
		return err
	}
	return nil
}

func namespaceTitle(ns, self exposure.NetNS) string {
	switch {
	case ns.ID == self.ID && ns.Name == "":
		return "this network namespace"
	case ns.Name != "":
		return "network namespace " + Escape(ns.Name)
	}
	return "network namespace " + Escape(ns.ID)
}

// byNamespace keeps the snapshot's order and cuts it where the namespace
// changes; the reader's own comes first.
func byNamespace(snap *exposure.Snapshot) [][]exposure.Socket {
	index := map[string]int{}
	var out [][]exposure.Socket
	add := func(s exposure.Socket) {
		i, ok := index[s.NetNS.ID]
		if !ok {
			i = len(out)
			index[s.NetNS.ID] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], s)
	}
	for _, own := range []bool{true, false} {
		for _, s := range snap.Sockets {
			if (s.NetNS.ID == snap.Self.ID) == own {
				add(s)
			}
		}
	}
	return out
}

func hostTable(w io.Writer, socks []exposure.Socket, st Style) error {
	cols := []column{{head: "PORT"}, {head: "SERVICE", min: 8}, {head: "BOUND", min: 15}, {head: "OWNER", min: 16}}
	if st.Verbose {
		cols = append(cols, column{head: "PROGRAM", min: 20}, column{head: "USER"}, column{head: "PACKAGE", min: 8})
	}
	var rows [][]string
	for i := range socks {
		s := &socks[i]
		row := []string{portText(s.Port, s.Proto), dash(Escape(s.Service)), boundText(s.Addr, s.Scope, s.DualStack, s.Device),
			ownerText(s.Processes, ownerUnit(s), s.Container, s.Kernel)}
		if st.Verbose {
			row = append(row, programCells(s)...)
		}
		rows = append(rows, row)
	}
	if err := writeTable(w, st, cols, rows); err != nil {
		return err
	}
	return whyUnknown(w, socks, st)
}

// whyUnknown explains the "?" of a table, each reason once.
func whyUnknown(w io.Writer, socks []exposure.Socket, st Style) error {
	var reasons []string
	for i := range socks {
		if why := socks[i].OwnerUnknown; why != "" && !slices.Contains(reasons, why) {
			reasons = append(reasons, why)
			for _, l := range hang(Escape(why), st.Width, 0, "? ") {
				if _, err := fmt.Fprintln(w, l); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// ownerUnit shows the socket unit too when it holds the port for a service.
func ownerUnit(s *exposure.Socket) string {
	if s.ActivatedBy != "" && s.ActivatedBy != s.Unit {
		if s.Unit == "" {
			return s.ActivatedBy
		}
		return s.Unit + " by " + s.ActivatedBy
	}
	return s.Unit
}

func programCells(s *exposure.Socket) []string {
	if len(s.Processes) == 0 {
		return []string{"-", "-", "-"}
	}
	p := &s.Processes[0]
	exe := p.Exe
	if p.Deleted {
		exe += " (deleted)"
	}
	return []string{dash(Escape(exe)), dash(Escape(p.User)), dash(Escape(s.Package))}
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// SocketStream writes every socket as it comes: columns of fixed width,
// because 100,000 rows are not kept to be measured.
type SocketStream struct {
	w    *bufio.Writer
	self string
	buf  []byte
	n    int
}

// NewSocketStream writes to w; call Close at the end.
func NewSocketStream(w io.Writer, self exposure.NetNS) *SocketStream {
	return &SocketStream{w: bufio.NewWriterSize(w, 64<<10), self: self.ID}
}

// Add writes one row.
func (t *SocketStream) Add(s *exposure.Socket) error {
	if t.n == 0 {
		t.buf = appendCells(t.buf[:0], "PROTO", "STATE", "LOCAL", "PEER")
		t.buf = append(t.buf, "OWNER\n"...)
		if _, err := t.w.Write(t.buf); err != nil {
			return err
		}
	}
	t.n++
	t.buf = t.row(t.buf[:0], s)
	_, err := t.w.Write(t.buf)
	return err
}

// Column widths of the stream: proto, state, local, peer.
var streamWidths = [...]int{7, 11, 22, 22}

func appendCells(dst []byte, cells ...string) []byte {
	for i, c := range cells {
		dst = padTo(append(dst, c...), len(dst), streamWidths[i])
	}
	return dst
}

func padTo(dst []byte, from, width int) []byte {
	for len(dst)-from < width {
		dst = append(dst, ' ')
	}
	return append(dst, ' ')
}

func (t *SocketStream) row(dst []byte, s *exposure.Socket) []byte {
	dst = appendCells(dst, string(s.Proto), string(s.State))
	from := len(dst)
	dst = padTo(appendLocal(dst, s), from, streamWidths[2])
	from = len(dst)
	dst = padTo(appendHostPort(dst, s.PeerAddr, s.PeerPort), from, streamWidths[3])
	dst = t.owner(dst, s)
	if s.NetNS.ID != t.self {
		dst = append(append(dst, " netns "...), Escape(nameOrID(s.NetNS))...)
	}
	return appendFilter(append(dst, '\n'), s.Filter)
}

// appendFilter writes the attached filter of a raw or packet socket, indented.
func appendFilter(dst []byte, filter string) []byte {
	for line := range strings.Lines(filter) {
		dst = append(append(dst, "        filter "...), Escape(strings.TrimRight(line, "\n"))...)
		dst = append(dst, '\n')
	}
	return dst
}

// appendLocal writes the local end with the device that the socket is bound
// to; packet sockets have only that.
func appendLocal(dst []byte, s *exposure.Socket) []byte {
	switch {
	case s.State == exposure.Packet && s.Device == "":
		return append(dst, "every device"...)
	case s.State == exposure.Packet:
		return append(append(dst, '%'), Escape(s.Device)...)
	}
	dst = appendHostPort(dst, s.Addr, s.Port)
	if s.Device != "" && s.Addr.IP.Zone() != s.Device {
		dst = append(append(dst, '%'), Escape(s.Device)...)
	}
	return dst
}

func nameOrID(ns exposure.NetNS) string {
	if ns.Name != "" {
		return ns.Name
	}
	return ns.ID
}

func (t *SocketStream) owner(dst []byte, s *exposure.Socket) []byte {
	if len(s.Processes) == 1 && s.Unit == "" && s.Container == nil {
		p := &s.Processes[0]
		dst = append(append(dst, Escape(p.Name)...), '[')
		return append(strconv.AppendInt(dst, int64(p.PID), 10), ']')
	}
	if len(s.Processes) == 0 && s.OwnerUnknown == "" && s.Kernel == nil {
		return append(dst, '-')
	}
	return append(dst, ownerText(s.Processes, s.Unit, s.Container, s.Kernel)...)
}

func appendHostPort(dst []byte, a exposure.Address, port uint16) []byte {
	if a.IsZero() {
		return append(dst, '-')
	}
	if !a.IP.IsValid() || a.IP.Zone() != "" {
		return append(dst, Escape(exposure.HostPort(a, port))...)
	}
	if a.IP.Is6() {
		dst = append(a.IP.AppendTo(append(dst, '[')), ']')
	} else {
		dst = a.IP.AppendTo(dst)
	}
	return strconv.AppendUint(append(dst, ':'), uint64(port), 10)
}

// Close flushes.
func (t *SocketStream) Close() error { return t.w.Flush() }

// HostStream writes portreeve.host/1 as sockets come: the list first, then
// what is known only at the end.
type HostStream struct {
	w       *bufio.Writer
	buf     []byte
	n       int
	listing bool
}

// NewHostStream writes the document's head.
func NewHostStream(w io.Writer, host string, taken time.Time) *HostStream {
	h := &HostStream{w: bufio.NewWriterSize(w, 64<<10)}
	h.buf = appendField(append(h.buf, '{'), "schema", "portreeve.host/1")
	h.buf = appendField(h.buf, "taken", taken.UTC().Format(time.RFC3339Nano))
	h.buf = appendField(h.buf, "host", host)
	return h
}

// Place says which namespace the document is about, and its addresses. It
// comes before the first socket.
func (h *HostStream) Place(self exposure.NetNS, addrs []exposure.OwnAddress) {
	h.buf = append(appendKey(h.buf, "netns"), '{')
	h.buf = appendField(h.buf, "id", self.ID)
	h.buf = append(trimLast(appendField(h.buf, "name", self.Name)), '}', ',')
	h.buf = append(appendKey(h.buf, "addresses"), '[')
	for _, a := range addrs {
		h.buf = appendField(append(h.buf, '{'), "addr", a.IP.String())
		h.buf = append(trimLast(appendField(h.buf, "interface", a.Interface)), '}', ',')
	}
	h.buf = append(closeList(h.buf), ',')
}

// list begins the list of sockets.
func (h *HostStream) list() {
	if !h.listing {
		h.listing = true
		h.buf = append(h.buf, `"sockets":[`...)
	}
}

// Add writes one socket.
func (h *HostStream) Add(s *exposure.Socket) error {
	h.list()
	if h.n > 0 {
		h.buf = append(h.buf, ',')
	}
	h.n++
	h.buf = AppendSocket(append(h.buf, '\n'), s)
	_, err := h.w.Write(h.buf)
	h.buf = h.buf[:0]
	return err
}

// Close writes the document's end.
func (h *HostStream) Close(gaps []exposure.Gap) error {
	h.list()
	h.buf = append(h.buf, "],\n\"incomplete\":["...)
	for _, g := range gaps {
		h.buf = appendField(append(h.buf, '{'), "view", g.View)
		h.buf = append(trimLast(appendField(h.buf, "why", g.Why)), '}', ',')
	}
	h.buf = append(closeList(h.buf), "}\n"...)
	if _, err := h.w.Write(h.buf); err != nil {
		return err
	}
	return h.w.Flush()
}

// Gaps writes notes about what could not be seen, one a line.
func Gaps(w io.Writer, gaps []exposure.Gap, st Style) {
	for _, line := range gapsText(gaps) {
		for i, l := range wrap("not seen: "+line, st.Width, 0) {
			if i > 0 {
				l = "  " + l
			}
			fmt.Fprintln(w, l)
		}
	}
}
