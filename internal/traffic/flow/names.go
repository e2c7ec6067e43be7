package flow

// String gives conn_state as Zeek writes it.
func (s State) String() string {
	names := [...]string{"OTH", "S0", "S1", "SF", "REJ", "S2", "S3", "RSTO", "RSTR", "RSTOS0", "RSTRH", "SH", "SHR"}
	if int(s) < len(names) {
		return names[s]
	}
	return names[OTH]
}

// String gives oriented_by as the command prints it.
func (o Orientation) String() string {
	names := [...]string{"first-packet", "syn", "syn-ack", "listener", "registry"}
	if int(o) < len(names) {
		return names[o]
	}
	return names[ByFirstPacket]
}

// IP protocol numbers (IANA) that the table treats in their own way.
const (
	protoICMP    = 1
	protoTCP     = 6
	protoUDP     = 17
	protoDCCP    = 33
	protoICMP6   = 58
	protoSCTP    = 132
	protoUDPLite = 136
)

// hasPorts tells the protocols whose flows are told apart by ports.
func hasPorts(proto uint8) bool {
	switch proto {
	case protoTCP, protoUDP, protoDCCP, protoSCTP, protoUDPLite:
		return true
	}
	return false
}
