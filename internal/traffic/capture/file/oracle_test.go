package file

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/portreeve/portreeve/internal/traffic/capture"
)

// gopacket reads the same packets from every fixture that it can read.
func TestGopacketAgrees(t *testing.T) {
	read, packets := 0, 0
	for name, data := range captures(t) {
		want, err := gopacketAll(data)
		if err != nil {
			t.Logf("gopacket cannot read %s: %v", name, err)
			continue
		}
		read++
		packets += len(want)
		got, _, _ := readAll(bytes.NewReader(data))
		for i := range got {
			got[i].Direction, got[i].Link = 0, 0
		}
		same(t, name, got, want)
	}
	if read < 140 || packets < 8000 {
		t.Errorf("only %d captures, %d packets compared", read, packets)
	}
}

// gopacketAll reads with gopacket. It knows no directions, and link types only
// by its own names.
func gopacketAll(data []byte) (all []capture.Packet, err error) {
	var source gopacket.PacketDataSource
	if bytes.HasPrefix(data, []byte(sectionMagic)) {
		source, err = pcapgo.NewNgReader(bytes.NewReader(data), pcapgo.NgReaderOptions{WantMixedLinkType: true})
	} else {
		source, err = pcapgo.NewReader(bytes.NewReader(data))
	}
	for err == nil {
		var p []byte
		var info gopacket.CaptureInfo
		if p, info, err = source.ReadPacketData(); err == nil {
			out := capture.Packet{Data: p, Wire: uint32(info.Length)}
			if !info.Timestamp.IsZero() {
				out.Time = info.Timestamp.UnixNano()
			}
			all = append(all, out)
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return all, err
}
