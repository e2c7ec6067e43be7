package procfs

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Dir is a /proc directory. For socket tables that is the directory above
// net/: /proc/thread-self for the calling thread's namespace, /proc/PID for a
// process's, or the root of a copy.
type Dir struct {
	Root string
	// Order is the byte order of the machine that made the tables; nil is
	// this machine's.
	Order binary.ByteOrder
}

// Inet reads net/NAME; a kernel without that protocol has no such file
// (fs.ErrNotExist).
func (d Dir) Inet(name string, fn func(*Entry) error) (Skipped, error) {
	order := d.Order
	if order == nil {
		order = hostOrder()
	}
	var skipped Skipped
	err := d.read("net/"+name, func(r io.Reader) (err error) {
		skipped, err = ParseInet(r, order, fn)
		return err
	})
	return skipped, err
}

// Packet reads net/packet.
func (d Dir) Packet(fn func(*PacketEntry) error) (Skipped, error) {
	var skipped Skipped
	err := d.read("net/packet", func(r io.Reader) (err error) {
		skipped, err = ParsePacket(r, fn)
		return err
	})
	return skipped, err
}

// SCTPEndpoints reads net/sctp/eps.
func (d Dir) SCTPEndpoints(fn func(*SCTPEntry) error) (Skipped, error) {
	var skipped Skipped
	err := d.read("net/sctp/eps", func(r io.Reader) (err error) {
		skipped, err = ParseSCTPEndpoints(r, fn)
		return err
	})
	return skipped, err
}

// Protocols reads net/protocols.
func (d Dir) Protocols() (names []string, err error) {
	err = d.read("net/protocols", func(r io.Reader) (err error) {
		names, err = ParseProtocols(r)
		return err
	})
	return names, err
}

// PortRange reads sys/net/ipv4/ip_local_port_range; Root is /proc itself here
// and the answer is the calling thread's namespace's.
func (d Dir) PortRange() (first, last uint16, err error) {
	err = d.read("sys/net/ipv4/ip_local_port_range", func(r io.Reader) (err error) {
		first, last, err = ParsePortRange(r)
		return err
	})
	return first, last, err
}

// NetNSMounts reads mountinfo.
func (d Dir) NetNSMounts() (mounts []NamespaceMount, err error) {
	err = d.read("mountinfo", func(r io.Reader) (err error) {
		mounts, err = ParseNetNSMounts(r)
		return err
	})
	return mounts, err
}

// Image reads stat; Root is /proc/PID here.
func (d Dir) Image() (image Image, err error) {
	err = d.read("stat", func(r io.Reader) (err error) {
		image, err = ParseImage(r)
		return err
	})
	return image, err
}

// NFSDPorts reads fs/nfsd/portlist; Root is /proc itself here.
func (d Dir) NFSDPorts(fn func(transport string, port uint16)) error {
	return d.read("fs/nfsd/portlist", func(r io.Reader) error {
		_, err := ParseNFSDPorts(r, fn)
		return err
	})
}

func (d Dir) read(name string, parse func(io.Reader) error) error {
	f, err := os.Open(filepath.Join(d.Root, name))
	if err != nil {
		return err
	}
	defer f.Close()
	if err := parse(f); err != nil {
		return fmt.Errorf("read %s: %w", f.Name(), err)
	}
	return nil
}

// hostOrder finds this machine's byte order as a binary.ByteOrder, which
// binary.NativeEndian's type does not say.
func hostOrder() binary.ByteOrder {
	if binary.NativeEndian.Uint16([]byte{1, 0}) == 1 {
		return binary.LittleEndian
	}
	return binary.BigEndian
}
