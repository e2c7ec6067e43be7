package meter

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// offload is which giants the device cuts itself (ethtool -k).
type offload struct{ tcp4, tcp6, udp bool }

// From linux/ethtool.h.
const (
	ethtoolGetStrings  = 0x1b // ETHTOOL_GSTRINGS
	ethtoolSetInfo     = 0x37 // ETHTOOL_GSSET_INFO
	ethtoolGetFeatures = 0x3a // ETHTOOL_GFEATURES
	featureNames       = 4    // ETH_SS_FEATURES
	nameSize           = 32   // ETH_GSTRING_LEN
	blockSize          = 16   // struct ethtool_get_features_block
	activeAt           = 8    // its member active
	maxFeatures        = 1024 // more would be no answer of this kernel interface
)

// offloads asks an interface. Where it cannot be asked, giants are taken to be
// left whole, as nearly every device does.
func offloads(fd int, name string) offload {
	names, active := features(fd, name)
	if names == nil {
		return offload{true, true, true}
	}
	on := func(feature string) bool {
		for i, each := range names {
			if each == feature {
				return active[i]
			}
		}
		return false
	}
	return offload{on("tx-tcp-segmentation"), on("tx-tcp6-segmentation"), on("tx-udp-segmentation")}
}

// features lists an interface's features and which of them are active; nil
// where the kernel does not tell.
func features(fd int, name string) (names []string, active []bool) {
	info := binary.NativeEndian.AppendUint32(nil, ethtoolSetInfo)
	info = binary.NativeEndian.AppendUint32(info, 0)
	info = binary.NativeEndian.AppendUint64(info, 1<<featureNames)
	info = append(info, 0, 0, 0, 0)
	if !ethtool(fd, name, info) {
		return nil, nil
	}
	count := int(binary.NativeEndian.Uint32(info[16:]))
	if count == 0 || count > maxFeatures {
		return nil, nil
	}
	text := request(ethtoolGetStrings, featureNames, 4+count*nameSize)
	blocks := (count + 31) / 32
	bits := request(ethtoolGetFeatures, uint32(blocks), blocks*blockSize)
	if !ethtool(fd, name, text) || !ethtool(fd, name, bits) {
		return nil, nil
	}
	for i := range count {
		each := text[12+i*nameSize:][:nameSize]
		each, _, _ = bytes.Cut(each, []byte{0})
		names = append(names, string(each))
		word := binary.NativeEndian.Uint32(bits[8+i/32*blockSize+activeAt:])
		active = append(active, word>>(i%32)&1 != 0)
	}
	return names, active
}

// request is a command with one argument and room for the answer.
func request(command, argument uint32, room int) []byte {
	b := binary.NativeEndian.AppendUint32(nil, command)
	b = binary.NativeEndian.AppendUint32(b, argument)
	return append(b, make([]byte, room)...)
}

// ethtool has the kernel answer a request in place.
func ethtool(fd int, name string, req []byte) bool {
	var ifr struct { // struct ifreq
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [24 - unsafe.Sizeof(uintptr(0))]byte
	}
	copy(ifr.name[:unix.IFNAMSIZ-1], name)
	var pin runtime.Pinner
	pin.Pin(&req[0])
	defer pin.Unpin()
	ifr.data = unsafe.Pointer(&req[0])
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&ifr)))
	return errno == 0
}
