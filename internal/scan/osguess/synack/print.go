package synack

import "net/netip"

// NoScale is the Scale of an answer without the window scale option.
const NoScale = -1

// Layout letters, one for each option in the order of the header.
const (
	LetterMSS       = 'M' // maximum segment size, kind 2 (RFC 9293)
	LetterNOP       = 'N' // no-operation, kind 1 (RFC 9293)
	LetterScale     = 'W' // window scale, kind 3 (RFC 7323)
	LetterSACK      = 'S' // SACK permitted, kind 4 (RFC 2018)
	LetterTimestamp = 'T' // timestamps, kind 8 (RFC 7323)
	LetterEnd       = 'E' // end of option list, kind 0; always the last letter
	LetterOther     = '?' // any other kind
)

// Answer is what the headers of one TCP segment say.
type Answer struct {
	Src, Dst     netip.Addr // without zone
	SPort, DPort uint16
	Seq, Ack     uint32
	Flags        byte  // FIN, SYN, RST, PSH, ACK, URG, ECE, CWR from bit 0
	NS           bool  // the reserved bit next to CWR (RFC 3540, now AE)
	Urgent       bool  // a non-zero urgent pointer
	TTL          uint8 // or the IPv6 hop limit
	DF           bool  // IPv4: don't fragment
	ID           uint16
	MustBeZero   bool   // IPv4: the reserved bit beside DF is set
	IPOptions    uint8  // IPv4: length of the options in bytes
	FlowLabel    uint32 // IPv6
	ECT          uint8  // the two ECN bits of the IP header
	Window       uint16 // as it stands in the header
	MSS          uint16 // 0 without the option
	Scale        int    // NoScale without the option
	Layout       string
	Pad          int  // bytes after the end-of-options option
	PadNotZero   bool // one of them is not zero
	TSVal, TSEcr uint32
	BadOptions   bool // cut or of a wrong length
	Payload      int  // bytes after the header
}

// HasTimestamp tells a segment with the timestamps option.
func (a *Answer) HasTimestamp() bool {
	for _, c := range a.Layout {
		if c == LetterTimestamp {
			return true
		}
	}
	return false
}

// IsSYNACK tells a segment that agrees to a connection.
func (a *Answer) IsSYNACK() bool { return a.Flags&(flagSYN|flagACK|flagRST|flagFIN) == flagSYN|flagACK }

// IsReset tells a segment that refuses one.
func (a *Answer) IsReset() bool { return a.Flags&(flagSYN|flagRST) == flagRST }

// ECE tells whether the segment carries the ECN-echo flag.
func (a *Answer) ECE() bool { return a.Flags&flagECE != 0 }

// CWR tells whether the segment carries the congestion-window-reduced flag.
func (a *Answer) CWR() bool { return a.Flags&flagCWR != 0 }

// EffectiveMSS is what one segment carries: the MSS less the timestamps option
// where one is used (RFC 7323 section 3.2: 12 bytes with its padding).
func (a *Answer) EffectiveMSS() int {
	mss := int(a.MSS)
	if a.HasTimestamp() {
		mss -= 12
	}
	return max(mss, 0)
}

// Print is what was heard of one host. Nothing heard: SYNACK is nil.
type Print struct {
	Addr   netip.Addr
	SYNACK *Answer // of the open port
	RST    *Answer // of the closed port; nil where none was heard or asked
	// Echo is the TTL or hop limit of the echo reply, 0 where none was heard.
	Echo uint8
	// ECNAsked says that the SYN-ACK answers an ECN-setup SYN for certain, so
	// that the absence of ECE in it means something.
	ECNAsked bool
	// Err is why the host could not be asked (no route, refused by a rule of
	// this host); nil where it was asked, answered or not.
	Err error
}

// InitialTTL rounds a received TTL up to what stacks begin with: 32, 64, 128
// or 255. A host 40 hops away that began with 64 is taken for one that began
// with 32, as nobody can tell otherwise.
func InitialTTL(ttl uint8) uint8 {
	for _, first := range [...]uint8{32, 64, 128} {
		if ttl <= first {
			return first
		}
	}
	return 255
}
