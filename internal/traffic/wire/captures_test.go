package wire_test

import (
	"bufio"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/portreeve/portreeve/internal/traffic/wire"
)

const fixtures = "../../../../shared/fixtures/captures"

// frame is one captured frame and where it came from.
type frame struct {
	file string // below fixtures
	no   int    // from 1
	link wire.LinkType
	data []byte
	wire uint32
}

// captured reads every frame of every fixture that is a capture.
func captured(t testing.TB) []frame {
	t.Helper()
	var all []frame
	err := filepath.WalkDir(fixtures, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := e.Name(); strings.HasSuffix(name, ".pcap") || strings.HasSuffix(name, ".pcapng") {
			all = append(all, framesOf(t, path)...)
		}
		return nil
	})
	if err != nil || len(all) == 0 {
		t.Fatalf("%d frames, %v", len(all), err)
	}
	return all
}

// framesOf reads a file up to its end or to what the reader refuses.
func framesOf(t testing.TB, path string) []frame {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	in := bufio.NewReader(file)
	magic, err := in.Peek(4)
	if err != nil {
		t.Fatal(path, err)
	}
	name, err := filepath.Rel(fixtures, path)
	if err != nil {
		t.Fatal(err)
	}
	if string(magic) == "\x0a\x0d\x0d\x0a" {
		return nextGen(name, in)
	}
	r, err := pcapgo.NewReader(in)
	if err != nil {
		t.Fatal(path, err)
	}
	link := wire.LinkType(r.LinkType())
	return drain(name, func() ([]byte, gopacket.CaptureInfo, wire.LinkType, error) {
		data, info, err := r.ReadPacketData()
		return data, info, link, err
	})
}

func nextGen(name string, in io.Reader) []frame {
	r, err := pcapgo.NewNgReader(in, pcapgo.NgReaderOptions{WantMixedLinkType: true, SkipUnknownVersion: true})
	if err != nil {
		return nil // of the generator's hostile files
	}
	return drain(name, func() ([]byte, gopacket.CaptureInfo, wire.LinkType, error) {
		data, info, err := r.ReadPacketData()
		if err != nil {
			return nil, info, 0, err
		}
		return data, info, wire.LinkType(info.AncillaryData[0].(layers.LinkType)), nil
	})
}

func drain(name string, next func() ([]byte, gopacket.CaptureInfo, wire.LinkType, error)) []frame {
	var all []frame
	for {
		data, info, link, err := next()
		if err != nil {
			return all
		}
		all = append(all, frame{name, len(all) + 1, link, data, uint32(max(info.Length, len(data)))})
	}
}
