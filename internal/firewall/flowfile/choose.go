package flowfile

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// choose finds the form by the first lines that say something.
func (s *reader) choose(r *bufio.Reader) error {
	name := s.opt.Format
	if name == "" {
		name = Auto
	}
	if !slices.Contains(Formats(), name) {
		return fmt.Errorf("%q is no format of flows (%s)", name, strings.Join(Formats(), ", "))
	}
	if name == Auto {
		head, err := r.Peek(32 << 10)
		if err != nil && err != io.EOF && err != bufio.ErrBufferFull && len(head) == 0 {
			return err
		}
		name = sniff(head)
	}
	s.info.Format = name
	s.format = newFormat(name, s)
	return nil
}

func newFormat(name string, s *reader) format {
	switch name {
	case Portreeve, ZeekJSON:
		return &jsonLines{}
	case ZeekTSV:
		return &zeekTSV{}
	case Conntrack:
		return newConntrack()
	case NfdumpJSON:
		return &nfdumpJSON{newPairs(s.opt.Serves)}
	case NfdumpCSV:
		return &nfdump{pairs: newPairs(s.opt.Serves)}
	}
	return newLogs(s)
}

// sniff tells the form by the first line that says something for certain;
// what nothing else claims is for the dialects of fwlog.
func sniff(head []byte) string {
	head = bytes.TrimPrefix(head, []byte("\ufeff"))
	for range 64 {
		line, rest, more := bytes.Cut(head, []byte("\n"))
		line = bytes.TrimSpace(line)
		if bytes.HasPrefix(line, []byte("[{")) { // an array, one object a line
			line = bytes.TrimRight(line[1:], ",]")
		}
		if name := sniffLine(line); name != "" {
			return name
		}
		if !more {
			break
		}
		head = rest
	}
	return Log
}

func sniffLine(line []byte) string {
	switch {
	case bytes.HasPrefix(line, []byte("#separator")), bytes.HasPrefix(line, []byte("#fields\t")):
		return ZeekTSV
	case isNfdumpHeader(line):
		return NfdumpCSV
	case looksLikeConntrack(line):
		return Conntrack
	case len(line) > 0 && line[0] == '{':
		return sniffJSON(line)
	}
	return ""
}

func sniffJSON(line []byte) string {
	var keys map[string]json.RawMessage
	if json.Unmarshal(line, &keys) != nil {
		return ""
	}
	has := func(names ...string) bool {
		return slices.ContainsFunc(names, func(n string) bool { _, ok := keys[n]; return ok })
	}
	switch {
	case has("client") && has("server") && has("server_port"):
		return Portreeve
	case has("src4_addr", "src6_addr") && has("src_port", "proto"):
		return NfdumpJSON
	case has("id.orig_h", "id_orig_h"), has("_path", "@stream") && has("ts"), has("uid") && has("id") && has("ts"):
		return ZeekJSON
	}
	return ""
}
