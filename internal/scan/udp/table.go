package udp

import (
	"bufio"
	_ "embed"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

//go:embed payloads.txt
var payloadTable string

// errTable is a malformed line of the embedded table (a test reads it all).
var errTable = errors.New("payload table")

// maxRequest keeps a request in one packet of any path (1,280 bytes of IPv6
// less headers; QUIC and RDP pad to 1,200 and 1,232).
const maxRequest = 1232

// idSize is how long a number that the answer repeats may be.
const idSize = 8

// table is payloads.txt. It is not changed once read.
type table struct {
	requests []*request
	byPort   map[uint16][]*request
	unlisted []*request // asked at ports that are not in byPort, in this order
}

// request is one first message of a protocol with the patterns of its answers.
type request struct {
	name    string
	source  string // the comment above it: the document
	ports   []uint16
	spec    string // ports as written
	message []byte
	always  bool // asked at unlisted ports too
	stray   bool // answered from a port that the server chooses (TFTP)
	id      echo
	matches []match
}

// echo says where the request holds a number that the answer repeats.
type echo struct{ at, back, size int }

// match recognises one kind of answer.
type match struct {
	service string
	pattern *regexp.Regexp
	fields  map[string]string // product, version, info, auth → template
}

// parseTable reads lines of words and Go string literals:
//
//	# the document: the comment above a probe is its source
//	probe NAME PORTS [always] [stray] [pad SIZE] [id AT BACK SIZE] "message"…
//	match SERVICE "pattern" [field "template"]…   (of the probe above)
//
// PORTS are numbers, ranges and commas, or - for none. A port may be named by
// several probes: they are asked in turn. pad fills the message with zeros to
// SIZE bytes. id names the SIZE bytes at AT in the request that come back at
// BACK in the answer.
func parseTable(text string) (*table, error) {
	t := &table{byPort: map[uint16][]*request{}, unlisted: []*request{{name: "empty"}}}
	var comment []string
	lines := bufio.NewScanner(strings.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if note, ok := strings.CutPrefix(line, "#"); ok {
			comment = append(comment, strings.TrimSpace(note))
			continue
		}
		words, err := split(line)
		if err == nil && len(words) > 0 {
			err = t.line(words, strings.Join(comment, " "))
		}
		if err != nil {
			return nil, fmt.Errorf("%w: line %d: %w", errTable, n, err)
		}
		comment = nil
	}
	return t, lines.Err()
}

// split cuts a line into words and literals.
func split(line string) ([]string, error) {
	var words []string
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimSpace(line) {
		if line[0] == '"' || line[0] == '`' {
			quoted, err := strconv.QuotedPrefix(line)
			if err != nil {
				return nil, err
			}
			value, err := strconv.Unquote(quoted)
			if err != nil {
				return nil, err
			}
			words, line = append(words, value), line[len(quoted):]
			continue
		}
		word, rest, _ := strings.Cut(line, " ")
		words, line = append(words, word), rest
	}
	return words, nil
}

func (t *table) line(words []string, comment string) error {
	switch {
	case words[0] == "probe" && len(words) >= 4:
		return t.probeLine(words[1:], comment)
	case words[0] == "match" && len(words) >= 3:
		return t.matchLine(words[1:])
	}
	return fmt.Errorf("%q with %d words is no line of the table", words[0], len(words))
}

func (t *table) probeLine(words []string, comment string) error {
	r := &request{name: words[0], spec: words[1], source: comment}
	rest, err := r.options(words[2:])
	if err != nil {
		return fmt.Errorf("probe %s: %w", r.name, err)
	}
	r.message = append([]byte(strings.Join(rest, "")), r.message...) // r.message is the padding
	if pad := len(r.message); pad > maxRequest || r.id.at+r.id.size > pad || r.id.size > idSize {
		return fmt.Errorf("probe %s: %d bytes, id at %d", r.name, pad, r.id.at)
	}
	if r.ports, err = portList(r.spec); err != nil {
		return fmt.Errorf("probe %s: %w", r.name, err)
	}
	t.requests = append(t.requests, r)
	for _, p := range r.ports {
		t.byPort[p] = append(t.byPort[p], r)
	}
	if r.always {
		t.unlisted = append(t.unlisted, r)
	}
	return nil
}

// options reads the words before the message.
func (r *request) options(words []string) ([]string, error) {
	pad := 0
	for len(words) > 0 {
		n := 1
		switch words[0] {
		case "always":
			r.always = true
		case "stray":
			r.stray = true
		case "pad":
			n = 2
			if err := numbers(words, &pad); err != nil {
				return nil, err
			}
		case "id":
			n = 4
			if err := numbers(words, &r.id.at, &r.id.back, &r.id.size); err != nil {
				return nil, err
			}
		default:
			r.message = make([]byte, max(0, pad-len(strings.Join(words, ""))))
			return words, nil
		}
		words = words[n:]
	}
	return nil, errors.New("no message")
}

// numbers reads the numbers after an option's word.
func numbers(words []string, into ...*int) error {
	if len(words) <= len(into) {
		return fmt.Errorf("%s wants %d numbers", words[0], len(into))
	}
	for i, v := range into {
		n, err := strconv.ParseUint(words[i+1], 10, 16)
		if err != nil || n > maxRequest {
			return fmt.Errorf("%s: %q is no number up to %d", words[0], words[i+1], maxRequest)
		}
		*v = int(n)
	}
	return nil
}

// portList reads "80,8000-8010"; "-" is none.
func portList(text string) ([]uint16, error) {
	var ports []uint16
	if text == "-" {
		return nil, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		a, errA := strconv.ParseUint(first, 10, 16)
		b, errB := strconv.ParseUint(last, 10, 16)
		if errA != nil || errB != nil || b < a || a == 0 {
			return nil, fmt.Errorf("%q is no port or range", part)
		}
		for p := a; p <= b; p++ {
			if slices.Contains(ports, uint16(p)) || len(ports) > 256 {
				return nil, fmt.Errorf("port %d comes twice, or there are too many", p)
			}
			ports = append(ports, uint16(p))
		}
	}
	return ports, nil
}

func (t *table) matchLine(words []string) error {
	if len(t.requests) == 0 || len(words)%2 != 0 {
		return fmt.Errorf("match %s: not a service, a pattern and pairs of field and template", words[0])
	}
	pattern, err := regexp.Compile("(?s)" + words[1])
	if err != nil {
		return err
	}
	m := match{service: words[0], pattern: pattern, fields: map[string]string{}}
	for pair := range slices.Chunk(words[2:], 2) {
		if !slices.Contains([]string{"product", "version", "info", "auth"}, pair[0]) {
			return fmt.Errorf("match %s: %q is no field", m.service, pair[0])
		}
		m.fields[pair[0]] = pair[1]
	}
	r := t.requests[len(t.requests)-1]
	r.matches = append(r.matches, m)
	return nil
}

// requestsFor lists what a port is asked, one after the other.
func (t *table) requestsFor(port uint16) []*request {
	if own := t.byPort[port]; own != nil {
		return own
	}
	return t.unlisted
}
