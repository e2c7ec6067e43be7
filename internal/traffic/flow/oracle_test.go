package flow_test

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/portreeve/portreeve/internal/traffic/capture"
	"github.com/portreeve/portreeve/internal/traffic/capture/file"
	"github.com/portreeve/portreeve/internal/traffic/flow"
	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// captures holds other people's captures, and what their own tools say of them.
const captures = "../../../../shared/fixtures/captures/"

// eachPacket gives all packets of a capture.
func eachPacket(t *testing.T, path string, yield func(*capture.Packet)) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	src, err := file.Open(f)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	defer src.Close()
	var batch capture.Batch
	for {
		err := src.Next(&batch)
		for i := range batch.Packets {
			yield(&batch.Packets[i])
		}
		batch.Release()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
}

// feed gives a table all packets of a capture.
func feed(t *testing.T, path string, d wire.Decoder, opt flow.Options) *flow.Table {
	t.Helper()
	table := flow.NewTable(opt)
	var p wire.Packet
	eachPacket(t, path, func(c *capture.Packet) {
		d.Decode(c.Link, c.Data, c.Wire, &p)
		table.Add(&p, c.Time, c.Wire, uint32(len(c.Data)))
	})
	return table
}

// table reads lines of fields, the first of which is a heading.
func table(t *testing.T, path string) [][]string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var rows [][]string
	for line := range strings.Lines(string(text)) {
		rows = append(rows, strings.Split(strings.TrimRight(line, "\r\n"), "\t"))
	}
	if len(rows) < 2 {
		t.Fatalf("%s holds nothing", path)
	}
	return rows[1:]
}

func flows(table *flow.Table) []flow.Flow {
	var all []flow.Flow
	table.Each(func(f *flow.Flow) bool {
		all = append(all, *f)
		return true
	})
	return all
}
