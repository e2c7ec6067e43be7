package firewall

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/firewall/dialect/nftables"
)

func thisKernel() Kernel { return kernel{} }

// kernel asks by netlink, from the thread it is called on.
type kernel struct{}

// Attributes of nftables messages (linux/netfilter/nf_tables.h).
const (
	subsysNftables = 10
	msgGetTable    = 1
	msgGetChain    = 4

	tableName  = 1
	tableFlags = 2
	dormant    = 1

	chainTable = 1
	chainName  = 3
	chainHook  = 4
	hookDev    = 3
	hookDevs   = 4
	devName    = 1
	devPrefix  = 2
)

// nfFamilies name the families of nfgenmsg (linux/netfilter.h).
var nfFamilies = map[uint8]string{1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}

// Tables lists tables, which of them are dormant, and devices of chains.
func (kernel) Tables() (Tables, error) {
	t := Tables{Facts: nftables.Facts{Dormant: map[nftables.TableID]bool{}, Devices: map[nftables.ChainID][]string{}}}
	msgs, err := dump(unix.NETLINK_NETFILTER, subsysNftables<<8|msgGetTable, make([]byte, 4))
	if err != nil {
		return t, nftError(err)
	}
	for _, m := range msgs {
		if err := t.addTable(m.Data); err != nil {
			return t, err
		}
	}
	msgs, err = dump(unix.NETLINK_NETFILTER, subsysNftables<<8|msgGetChain, make([]byte, 4))
	if err != nil {
		return t, nftError(err)
	}
	for _, m := range msgs {
		if err := t.addChain(m.Data); err != nil {
			return t, err
		}
	}
	return t, nil
}

func nftError(err error) error {
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return fmt.Errorf("list tables of nftables: %w", ErrPrivilege)
	case errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EAFNOSUPPORT), errors.Is(err, unix.EINVAL), errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Errorf("list tables of nftables: %w (%w)", ErrNoNftables, err)
	}
	return fmt.Errorf("list tables of nftables: %w", err)
}

// dump asks for a list, again while it changes under the dump.
func dump(family int, kind netlink.HeaderType, body []byte) ([]netlink.Message, error) {
	c, err := netlink.Dial(family, nil)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	const tries = 10
	for range tries {
		msgs, err := c.Execute(netlink.Message{Header: netlink.Header{Type: kind, Flags: netlink.Request | netlink.Dump}, Data: body})
		if err != nil {
			return nil, err
		}
		if !interrupted(msgs) {
			return msgs, nil
		}
	}
	return nil, fmt.Errorf("netlink dump of message %d: changed under every one of %d tries", kind, tries)
}

func interrupted(msgs []netlink.Message) bool {
	for _, m := range msgs {
		if m.Header.Flags&netlink.DumpInterrupted != 0 {
			return true
		}
	}
	return false
}

// nested decodes the attributes after a fixed header.
func nested(data []byte, header int) (*netlink.AttributeDecoder, error) {
	if len(data) < header {
		return nil, fmt.Errorf("netlink message of %d bytes: shorter than its header of %d", len(data), header)
	}
	ad, err := netlink.NewAttributeDecoder(data[header:])
	if ad != nil {
		ad.ByteOrder = binary.BigEndian
	}
	return ad, err
}

func (t *Tables) addTable(data []byte) error {
	ad, err := nested(data, 4)
	if err != nil {
		return err
	}
	id := nftables.TableID{Family: nfFamilies[data[0]]}
	var flags uint32
	for ad.Next() {
		switch ad.Type() {
		case tableName:
			id.Name = ad.String()
		case tableFlags:
			flags = ad.Uint32()
		}
	}
	t.All = append(t.All, id)
	t.Dormant[id] = flags&dormant != 0
	return ad.Err()
}

func (t *Tables) addChain(data []byte) error {
	ad, err := nested(data, 4)
	if err != nil {
		return err
	}
	id := nftables.ChainID{TableID: nftables.TableID{Family: nfFamilies[data[0]]}}
	var devices []string
	for ad.Next() {
		switch ad.Type() {
		case chainTable:
			id.Name = ad.String()
		case chainName:
			id.Chain = ad.String()
		case chainHook:
			ad.Nested(func(hook *netlink.AttributeDecoder) error {
				devices = hookDevices(hook)
				return nil
			})
		}
	}
	if devices != nil {
		t.Devices[id] = devices
	}
	return ad.Err()
}

func hookDevices(hook *netlink.AttributeDecoder) (devices []string) {
	for hook.Next() {
		switch hook.Type() {
		case hookDev:
			devices = append(devices, hook.String())
		case hookDevs:
			hook.Nested(func(list *netlink.AttributeDecoder) error {
				for list.Next() {
					switch list.Type() {
					case devName:
						devices = append(devices, list.String())
					case devPrefix:
						devices = append(devices, list.String()+"*")
					}
				}
				return nil
			})
		}
	}
	return devices
}
