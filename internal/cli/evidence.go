package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/portreeve/portreeve/internal/audit"
	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/knowledge"
	"github.com/portreeve/portreeve/internal/report"
	"github.com/portreeve/portreeve/internal/scan"
	"github.com/portreeve/portreeve/internal/traffic/capture"
	"github.com/portreeve/portreeve/internal/traffic/capture/file"
)

// Kinds of evidence files.
const (
	kindCapture = "capture"
	kindFlows   = "flows"
	kindTraffic = "traffic"
	kindHost    = "host"
	kindScan    = "scan"
)

// evidence collects files that stand for a host (--from). Nothing of this
// machine is read but the files.
type evidence struct {
	s     *streams
	book  *knowledge.Book
	in    *audit.Input
	named hostFlag

	hosts  []hostDocument
	tables []trafficDocument
	later  []laterFile // long ones, read when it is known who listens

	use     *audit.FlowUsage
	windows []watchSpan
	sources []string
}

// laterFile is a capture or a stream of flows, opened and not yet read.
type laterFile struct {
	name string
	kind string
	src  *source       // a capture
	in   *bufio.Reader // flow lines
	end  io.Closer
}

// sniffed is how much of a file is looked at to tell what it is.
const sniffed = 64 << 10

// maxDocument bounds a JSON document that is held in memory.
const maxDocument = 256 << 20

// maxFrom bounds how many files are open at once.
const maxFrom = 512

// gatherEvidence reads all files and joins what they say.
func gatherEvidence(ctx context.Context, s *streams, f *auditFlags) (*audit.Input, error) {
	named, err := parseHostFlag(f.host)
	if err != nil {
		return nil, err
	}
	e := &evidence{s: s, book: knowledge.Open(), named: named}
	e.in = &audit.Input{Taken: time.Now().UTC(), Book: e.book}
	defer e.close()
	for _, name := range f.from {
		if err := e.open(name); err != nil {
			return nil, err
		}
	}
	e.settleHost()
	if err := e.readLater(ctx); err != nil {
		return nil, err
	}
	e.settleTraffic()
	return e.in, nil
}

func (e *evidence) close() {
	for _, l := range e.later {
		_ = l.end.Close()
	}
}

// refused is the end for a file that is nothing that is read.
func refused(name string, err error) error {
	return usage("--from reads captures (pcap, pcapng), portreeve's host, scan and traffic JSON, its flow lines, and nmap XML; not yet the listings, logs and rule sets of other tools, nor folders",
		"--from %s: %w", name, err)
}

// open reads a document, or notes a capture for later.
func (e *evidence) open(name string) error {
	in, err := openInput(e.s, name)
	if err != nil {
		return refused(name, err)
	}
	br := bufio.NewReaderSize(in, sniffed)
	head, err := br.Peek(sniffed)
	if err != nil && err != io.EOF && len(head) == 0 {
		_ = in.Close()
		return refused(name, err)
	}
	kept, err := e.take(name, head, br, in)
	if !kept {
		_ = in.Close()
	}
	return err
}

// take tells by the content what it is. kept: it will be read later.
func (e *evidence) take(name string, head []byte, br *bufio.Reader, in io.Closer) (kept bool, err error) {
	switch firstText(head) {
	case '<':
		return false, e.addScan(name, br)
	case '{':
		if isFlowLine(head) {
			e.note(name, kindFlows, "flows, as portreeve traffic --by flow --json writes them")
			return e.keep(laterFile{name: name, kind: kindFlows, in: br, end: in})
		}
		return false, e.document(name, br)
	}
	src, err := file.Open(br)
	if err != nil {
		if errors.Is(err, capture.ErrNotCapture) {
			err = fmt.Errorf("tried as a capture, as JSON and as nmap XML, and it is none of them: %w", err)
		}
		return false, refused(name, err)
	}
	e.note(name, kindCapture, "packets")
	return e.keep(laterFile{name: name, kind: kindCapture, src: &source{rings: []capture.Source{src}}, end: in})
}

func (e *evidence) keep(l laterFile) (bool, error) {
	if len(e.later) == maxFrom {
		return false, usage("put the captures together first, as with mergecap", "more than %d captures and streams of flows", maxFrom)
	}
	e.later = append(e.later, l)
	return true, nil
}

// sectionMagic begins a pcapng, with what would else be white space.
var sectionMagic = []byte{0x0a, 0x0d, 0x0d, 0x0a}

// firstText is the first byte of what may be text, white space and byte order
// mark skipped; 0 for what is none.
func firstText(head []byte) byte {
	if bytes.HasPrefix(head, sectionMagic) {
		return 0
	}
	head = bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), " \t\r\n")
	if len(head) == 0 {
		return 0
	}
	return head[0]
}

// isFlowLine tells flow lines from documents: the first object is whole, has
// two ends and no schema.
func isFlowLine(head []byte) bool {
	var one struct {
		Schema, Client, Server string
	}
	d := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf"))))
	return d.Decode(&one) == nil && one.Schema == "" && one.Client != "" && one.Server != ""
}

func (e *evidence) note(name, kind, what string) {
	e.in.Evidence = append(e.in.Evidence, audit.Evidence{File: inputName(name), Kind: kind, What: what})
}

func inputName(name string) string {
	if name == "-" {
		return "standard input"
	}
	return name
}

func (e *evidence) addScan(name string, r io.Reader) error {
	sc, err := scan.ReadVantage(r, name)
	if err != nil {
		return refused(name, err)
	}
	what := fmt.Sprintf("a scan of %d hosts", len(sc.Hosts))
	if !sc.Taken.IsZero() {
		what += ", made " + sc.Taken.UTC().Format(time.DateTime)
	}
	e.note(name, kindScan, what)
	e.in.Vantages = append(e.in.Vantages, sc)
	return nil
}

// document reads JSON that says in its schema what it is.
func (e *evidence) document(name string, r io.Reader) error {
	b, err := io.ReadAll(io.LimitReader(r, maxDocument+1))
	if err == nil && len(b) > maxDocument {
		err = errTooLarge
	}
	if err != nil {
		return refused(name, err)
	}
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	var head struct {
		Schema string `json:"schema"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return refused(name, fmt.Errorf("tried as one JSON document and as flow lines: %w", err))
	}
	switch head.Schema {
	case scan.Schema:
		return e.addScan(name, bytes.NewReader(b))
	case hostSchema:
		return e.addHost(name, b)
	case report.TrafficSchema:
		return e.addTable(name, b)
	}
	return refused(name, fmt.Errorf("a JSON document with schema %.60q, which is not read here", head.Schema))
}

// readLater reads captures and flows, now that it is known who listens.
func (e *evidence) readLater(ctx context.Context) error {
	for _, l := range e.later {
		if ctx.Err() != nil {
			break
		}
		read := e.readFlows
		if l.kind == kindCapture {
			read = e.readCapture
		}
		if err := read(ctx, l); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		e.gap("traffic", "interrupted before every file was read")
	}
	return nil
}

func (e *evidence) gap(view, why string) {
	e.in.Gaps = append(e.in.Gaps, exposure.Gap{View: view, Why: why})
}

func (e *evidence) inform(format string, args ...any) {
	e.in.Notes = append(e.in.Notes, fmt.Sprintf(format, args...))
}

// watchSpan is a time that was watched.
type watchSpan struct{ from, to int64 }

// watched is how long the spans cover, what they share counted once.
func watched(list []watchSpan) time.Duration {
	list = slices.SortedFunc(slices.Values(list), func(a, b watchSpan) int {
		return int(min(1, max(-1, a.from-b.from)))
	})
	var sum, until int64
	for i, s := range list {
		from := s.from
		if i > 0 {
			from = max(from, until)
		}
		sum += max(0, s.to-from)
		if i == 0 || s.to > until {
			until = s.to
		}
	}
	return time.Duration(sum)
}
