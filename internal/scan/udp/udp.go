package udp

import (
	"bufio"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ErrUnsupported says that this system has no UDP asker yet.
var ErrUnsupported = errors.New("UDP endpoints are asked on Linux only")

// Defaults of an Asker.
const (
	DefaultTries = 3
	DefaultWait  = 250 * time.Millisecond
)

// Asker asks UDP endpoints. The zero value is ready to use.
type Asker struct {
	// Tries is how often a silent endpoint is asked.
	Tries int
	// Wait is how long each try waits for an answer.
	Wait time.Duration
}

func (a *Asker) tries() int {
	if a.Tries <= 0 {
		return DefaultTries
	}
	return a.Tries
}

func (a *Asker) wait() time.Duration {
	if a.Wait <= 0 {
		return DefaultWait
	}
	return a.Wait
}

//go:embed payloads.txt
var payloadTable string

// errTable is a malformed line of the embedded table (a test reads it all).
var errTable = errors.New("payload table")

// payloads reads the table: the request by port.
func payloads(table string) (map[uint16]string, error) {
	requests := map[uint16]string{}
	lines := bufio.NewScanner(strings.NewReader(table))
	for n := 1; lines.Scan(); n++ {
		if line := strings.TrimSpace(lines.Text()); line != "" && line[0] != '#' {
			if err := payloadLine(line, requests); err != nil {
				return nil, fmt.Errorf("%w: line %d: %w", errTable, n, err)
			}
		}
	}
	return requests, lines.Err()
}

// payloadLine reads `name ports "bytes"`, ports separated by commas, bytes as
// a Go string literal; neighbouring literals are joined.
func payloadLine(line string, requests map[uint16]string) error {
	name, rest, _ := strings.Cut(line, " ")
	ports, rest, _ := strings.Cut(strings.TrimSpace(rest), " ")
	request := ""
	for rest = strings.TrimSpace(rest); rest != ""; rest = strings.TrimSpace(rest) {
		quoted, err := strconv.QuotedPrefix(rest)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		part, err := strconv.Unquote(quoted)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		request, rest = request+part, rest[len(quoted):]
	}
	for p := range strings.SplitSeq(ports, ",") {
		port, err := strconv.ParseUint(p, 10, 16)
		if err != nil || request == "" || requests[uint16(port)] != "" {
			return fmt.Errorf("%s: port %q is no number, doubled or without bytes", name, p)
		}
		requests[uint16(port)] = request
	}
	return nil
}
