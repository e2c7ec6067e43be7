package negotiate

import (
	"bufio"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/portreeve/portreeve/internal/traffic/wire"
)

const fixtures = "../../../../shared/fixtures/captures"

// What real captures agree on: all flows of all files, none else. Zeek calls
// the same flows ftp-data and irc-dcc-data, and besides them one of GridFTP,
// whose control connection is encrypted, and no DCC CHAT.
var agreedInFixtures = map[string][]string{
	"arkime/tftp_rrq.pcap": {"tftp-data 17 192.168.0.10:3445 192.168.0.253:50618"},
	"zeek/irc-dcc-send.pcapng": {
		"irc-dcc 6 10.0.0.22:38016 10.0.0.7:59214",
		"irc-dcc 6 10.0.0.22:43614 10.0.0.7:59130",
	},
	"zeek/ftp/bigtransfer.pcap": {
		"ftp-data 6 192.168.56.1:59763 192.168.56.101:63988",
		"ftp-data 6 192.168.56.1:59764 192.168.56.101:37150",
	},
	"zeek/ftp/ipv6.pcap": {
		"ftp-data 6 2001:470:1f11:81f:c999:d94:aa7c:2e3e:49186 2001:470:4867:99::21:57086",
		"ftp-data 6 2001:470:1f11:81f:c999:d94:aa7c:2e3e:49187 2001:470:4867:99::21:57087",
		"ftp-data 6 2001:470:1f11:81f:c999:d94:aa7c:2e3e:49188 2001:470:4867:99::21:57088",
		"ftp-data 6 2001:470:4867:99::21:55647 2001:470:1f11:81f:c999:d94:aa7c:2e3e:49190",
		"ftp-data 6 2001:470:4867:99::21:55785 2001:470:1f11:81f:c999:d94:aa7c:2e3e:49189",
	},
}

func TestFixtures(t *testing.T) {
	got := map[string][]string{}
	files := 0
	err := filepath.WalkDir(fixtures, func(path string, e fs.DirEntry, err error) error {
		if err == nil && strings.Contains(filepath.Ext(path), ".pcap") {
			files++
			if labels := labelsOf(t, path); len(labels) > 0 {
				name, _ := filepath.Rel(fixtures, path)
				got[name] = labels
			}
		}
		return err
	})
	if err != nil || files < 100 {
		t.Fatal(files, err)
	}
	if diff := cmp.Diff(agreedInFixtures, got); diff != "" {
		t.Error(diff)
	}
}

// labelsOf names the flows of a file, each asked about at its first packet and
// at the end.
func labelsOf(t *testing.T, path string) []string {
	type flow struct {
		proto    uint8
		src, dst Endpoint
	}
	w := New(Options{})
	began, names := map[flow]int64{}, map[flow]string{}
	ask := func(f flow) {
		if a, ok := w.Label(f.proto, f.src.Addr, f.src.Port, f.dst.Addr, f.dst.Port, began[f]); ok {
			names[f] = a.Name
		}
	}
	eachPacket(t, path, func(p *wire.Packet, when int64) {
		w.Packet(p, when)
		f := flow{p.Proto, Endpoint{p.Src, p.SrcPort}, Endpoint{p.Dst, p.DstPort}}
		_, known := began[f]
		_, back := began[flow{f.proto, f.dst, f.src}]
		if !known && !back {
			began[f] = when
			ask(f)
		}
	})
	for f := range began {
		if names[f] == "" {
			ask(f)
		}
	}
	var out []string
	for f, name := range maps.All(names) {
		out = append(out, fmt.Sprintf("%s %d %s:%d %s:%d", name, f.proto, wire.Addr(f.src.Addr), f.src.Port, wire.Addr(f.dst.Addr), f.dst.Port))
	}
	slices.Sort(out)
	return out
}

// eachPacket decodes a capture file.
func eachPacket(t *testing.T, path string, do func(*wire.Packet, int64)) {
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
	var read func() ([]byte, gopacket.CaptureInfo, error)
	link := func(info gopacket.CaptureInfo) wire.LinkType {
		return wire.LinkType(info.AncillaryData[0].(layers.LinkType))
	}
	if string(magic) == "\x0a\x0d\x0d\x0a" {
		r, err := pcapgo.NewNgReader(in, pcapgo.NgReaderOptions{WantMixedLinkType: true, SkipUnknownVersion: true})
		if err != nil {
			return // what it cannot read has no control traffic
		}
		read = r.ReadPacketData
	} else {
		r, err := pcapgo.NewReader(in)
		if err != nil {
			t.Fatal(path, err)
		}
		read, link = r.ReadPacketData, func(gopacket.CaptureInfo) wire.LinkType { return wire.LinkType(r.LinkType()) }
	}
	var d wire.Decoder
	var p wire.Packet
	for {
		data, info, err := read()
		if err != nil {
			return
		}
		d.Decode(link(info), data, uint32(info.Length), &p)
		do(&p, info.Timestamp.UnixNano())
	}
}
