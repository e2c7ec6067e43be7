package sink

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
)

// journalMessageID marks all messages of the watch (sd-journal's MESSAGE_ID: a
// random 128-bit number): journalctl MESSAGE_ID=…
const journalMessageID = "6f1d7c39b0c54e6f9a2d5b8e13f7a4c2"

const journalSocket = "/run/systemd/journal/socket"

// journalEntry writes a notice in the journal's native protocol: NAME=value
// lines; a value with a newline is NAME, newline, its length in 8 bytes little
// endian, the value, newline (systemd.io/JOURNAL_NATIVE_PROTOCOL).
func journalEntry(n *Notice) []byte {
	var b []byte
	b = appendJournal(b, "MESSAGE", Text(n))
	b = appendJournal(b, "MESSAGE_ID", journalMessageID)
	b = appendJournal(b, "PRIORITY", fmt.Sprint(severityNumber(n.Severity())))
	b = appendJournal(b, "SYSLOG_IDENTIFIER", syslogApp)
	for _, kv := range fields(n) {
		b = appendJournal(b, "PORTREEVE_"+strings.ToUpper(kv[0]), kv[1])
	}
	if n.Finding != nil {
		b = appendJournal(b, "PORTREEVE_TITLE", n.Finding.Title)
		b = appendJournal(b, "PORTREEVE_BECAUSE", strings.Join(n.Finding.Because, "\n"))
	}
	if s := n.socket(); len(s.Processes) > 0 {
		b = appendJournal(b, "PORTREEVE_CMDLINE", s.Processes[0].Cmdline)
	}
	return b
}

func appendJournal(b []byte, name, value string) []byte {
	switch {
	case value == "":
		return b
	case !strings.Contains(value, "\n"):
		b = append(append(b, name...), '=')
		return append(append(b, value...), '\n')
	}
	b = append(append(b, name...), '\n')
	b = binary.LittleEndian.AppendUint64(b, uint64(len(value)))
	return append(append(b, value...), '\n')
}

// journal sends to systemd-journald.
type journal struct {
	path string

	mu   sync.Mutex
	conn journalConn
}

func newJournal(c *Config) (*journal, error) {
	path := c.Address
	if path == "" {
		path = journalSocket
	}
	return &journal{path: path}, journalHere()
}

func (j *journal) Send(ctx context.Context, n *Notice) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.conn.send(ctx, j.path, journalEntry(n)); err != nil {
		j.conn.close()
		return fmt.Errorf("send to the journal (%s): %w", j.path, err)
	}
	return nil
}

func (j *journal) Close(context.Context) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.conn.close()
	return nil
}
