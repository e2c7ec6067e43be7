package rpcbind

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type stream struct {
	io.Reader
	sent bytes.Buffer
}

func (s *stream) Write(b []byte) (int, error) { return s.sent.Write(b) }

func word(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }

func text(s string) []byte {
	b := append(word(uint32(len(s))), s...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func reply(services ...[]byte) []byte {
	b := bytes.Join([][]byte{word(0x706f7274), word(1), word(0), word(0), word(0), word(0)}, nil)
	for _, s := range services {
		b = append(append(b, word(1)...), s...)
	}
	return append(b, word(0)...)
}

func entry(program, version uint32, netID, addr, owner string) []byte {
	return bytes.Join([][]byte{word(program), word(version), text(netID), text(addr), text(owner)}, nil)
}

// fragments cuts a record in two, as a server may.
func fragments(record []byte) []byte {
	cut := len(record) / 2 &^ 3
	return bytes.Join([][]byte{word(uint32(cut)), record[:cut], word(lastFragment | uint32(len(record)-cut)), record[cut:]}, nil)
}

func TestDump(t *testing.T) {
	record := reply(entry(100000, 4, "tcp", "0.0.0.0.0.111", "superuser"), entry(100024, 1, "udp6", "::.172.33", "29"),
		entry(100000, 3, "local", "/run/rpcbind.sock", "superuser"))
	s := &stream{Reader: bytes.NewReader(fragments(record))}
	got, err := Dump(s)
	want := []Service{{100000, 4, "tcp", 111, "superuser"}, {100024, 1, "udp6", 44065, "29"}, {100000, 3, "local", 0, "superuser"}}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Error(err, d)
	}
	if s.sent.Len() != 44 {
		t.Errorf("request of %d bytes", s.sent.Len())
	}
}

func TestMalformed(t *testing.T) {
	good := reply(entry(100024, 1, "udp", "0.0.0.0.1.2", "x"))
	refused := append([]byte(nil), good...)
	refused[11] = 1
	for name, record := range map[string][]byte{"cut": good[:len(good)-8], "refused": refused, "empty": {}, "other xid": append(word(1), good[4:]...)} {
		_, err := Dump(&stream{Reader: bytes.NewReader(append(word(lastFragment|uint32(len(record))), record...))})
		if !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Dump(&stream{Reader: bytes.NewReader(word(lastFragment | maxReply + 1))}); !errors.Is(err, ErrMalformed) {
		t.Errorf("too long: %v", err)
	}
}

func FuzzDump(f *testing.F) {
	record := reply(entry(100024, 1, "udp", "0.0.0.0.172.33", "29"))
	f.Add(append(word(lastFragment|uint32(len(record))), record...))
	f.Add(fragments(record))
	f.Add(word(0))
	f.Fuzz(func(t *testing.T, b []byte) {
		services, err := Dump(&stream{Reader: bytes.NewReader(b)})
		if err == nil && len(services) > len(b)/16 {
			t.Errorf("%d services out of %d bytes", len(services), len(b))
		}
	})
}
