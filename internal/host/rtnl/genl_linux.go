package rtnl

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

var native = binary.NativeEndian

// Generic netlink numbers: linux/genetlink.h, linux/wireguard.h, linux/fou.h.
const (
	wgGetDevice      = 0
	wgAttrIfindex    = 1
	wgAttrListenPort = 6

	fouCmdGet   = 3
	fouAttrPort = 1
)

// WireGuardPort asks a WireGuard device for its listening port (needs
// CAP_NET_ADMIN). The socket lives in the namespace where the device was made.
func WireGuardPort(index uint32) (uint16, error) {
	ae := netlink.NewAttributeEncoder()
	ae.Uint32(wgAttrIfindex, index)
	attrs, err := ae.Encode()
	if err != nil {
		return 0, err
	}
	ports, err := generic("wireguard", wgGetDevice, attrs, wgPort)
	if err != nil || len(ports) == 0 {
		return 0, err
	}
	return ports[0], nil
}

func wgPort(ad *netlink.AttributeDecoder) (uint16, bool) {
	if ad.Type() != wgAttrListenPort {
		return 0, false
	}
	port := ad.Uint16()
	return port, port != 0
}

// FOUPorts lists the ports of foo-over-UDP receivers in the calling thread's
// namespace.
func FOUPorts() ([]uint16, error) {
	return generic("fou", fouCmdGet, nil, func(ad *netlink.AttributeDecoder) (uint16, bool) {
		if ad.Type() != fouAttrPort {
			return 0, false
		}
		return portIn(ad.Bytes())
	})
}

// generic dumps one command of a family and gathers ports from its answers.
func generic(family string, cmd uint8, attrs []byte, port func(*netlink.AttributeDecoder) (uint16, bool)) ([]uint16, error) {
	c, err := netlink.Dial(unix.NETLINK_GENERIC, nil)
	if err != nil {
		return nil, fmt.Errorf("generic netlink: open: %w", err)
	}
	defer c.Close()
	id, err := familyID(c, family)
	if err != nil {
		return nil, err
	}
	messages, err := c.Execute(netlink.Message{
		Header: netlink.Header{Type: netlink.HeaderType(id), Flags: netlink.Request | netlink.Dump},
		Data:   append([]byte{cmd, 1, 0, 0}, attrs...),
	})
	if err != nil {
		return nil, fmt.Errorf("generic netlink: ask %s: %w", family, err)
	}
	return genericPorts(messages, port)
}

func genericPorts(messages []netlink.Message, port func(*netlink.AttributeDecoder) (uint16, bool)) ([]uint16, error) {
	var out []uint16
	for _, m := range messages {
		if len(m.Data) < unix.GENL_HDRLEN {
			return out, errShort
		}
		ad, err := netlink.NewAttributeDecoder(m.Data[unix.GENL_HDRLEN:])
		if err != nil {
			return out, err
		}
		for ad.Next() {
			if p, ok := port(ad); ok {
				out = append(out, p)
			}
		}
		if err := ad.Err(); err != nil {
			return out, err
		}
	}
	return out, nil
}

// familyID asks the controller for all families and looks for one by name: to
// ask for a single missing one would make the kernel try to load its module.
func familyID(c *netlink.Conn, name string) (uint16, error) {
	messages, err := c.Execute(netlink.Message{
		Header: netlink.Header{Type: unix.GENL_ID_CTRL, Flags: netlink.Request | netlink.Dump},
		Data:   []byte{unix.CTRL_CMD_GETFAMILY, 1, 0, 0},
	})
	if err != nil {
		return 0, fmt.Errorf("generic netlink: list families: %w", err)
	}
	for _, m := range messages {
		id, found, err := decodeFamily(m.Data)
		if err != nil {
			return 0, err
		}
		if found == name {
			return id, nil
		}
	}
	return 0, fmt.Errorf("generic netlink: family %s: %w", name, ErrUnsupported)
}

func decodeFamily(b []byte) (id uint16, name string, err error) {
	if len(b) < unix.GENL_HDRLEN {
		return 0, "", errShort
	}
	ad, err := netlink.NewAttributeDecoder(b[unix.GENL_HDRLEN:])
	if err != nil {
		return 0, "", err
	}
	for ad.Next() {
		switch ad.Type() {
		case unix.CTRL_ATTR_FAMILY_ID:
			id = ad.Uint16()
		case unix.CTRL_ATTR_FAMILY_NAME:
			name = ad.String()
		}
	}
	return id, name, errors.Join(ad.Err())
}
