package mirror

import "fmt"

func (r *Result) explain(port Port) {
	switch r.Verdict {
	case NothingSeen:
		r.nothing(port)
	case OwnOnly:
		r.because("all %d packets are from or to this host; not even broadcasts of others came", r.Packets)
		r.next("check that the interface is cabled to the destination port of the mirror, and that the mirror session is active", mirrorSetup)
	case NotMirrored:
		r.notMirrored()
	case TooLittle:
		r.because("%d unicast packets between others in %d conversations, %d of which tell their directions: too few to tell a mirror from flooding",
			r.Foreign, r.Conversations, r.Telling)
		r.next("listen longer (--duration), or while there is traffic on the mirrored ports")
	case OneDirection:
		r.oneDirection()
	case BothWays:
		r.bothWays()
	}
	r.remarks(port)
}

// nearly is nine tenths.
func nearly(part, all uint64) bool { return all > 0 && 10*part >= 9*all }

const mirrorSetup = "set the mirror up on the switch: portreeve traffic span prints the commands, with how to check them"

func (r *Result) because(format string, args ...any) {
	r.Because = append(r.Because, fmt.Sprintf(format, args...))
}

func (r *Result) next(lines ...string) { r.Next = append(r.Next, lines...) }

func (r *Result) nothing(port Port) {
	r.because("no packet came in %.0f s", r.Seconds)
	switch port.Carrier {
	case NoCarrier:
		r.because("the interface has no carrier: no cable, or the other side is switched off")
		r.next("check the cable and the switch port; ip link show " + port.Name)
	case HasCarrier:
		r.because("the link is up, but not even broadcasts arrive: a mirror's destination port without anything mirrored looks like this")
		r.next("check on the switch that the mirror session is active and its sources have traffic", mirrorSetup)
	default:
		r.next("check that the link is up: ip link show "+port.Name, mirrorSetup)
	}
}

func (r *Result) notMirrored() {
	r.because("%d of %d packets are broadcast or multicast, which every port gets", r.Group, r.Packets)
	switch {
	case r.Foreign == 0:
		r.because("no unicast packet between others was seen")
	case r.Telling == 0:
		r.because("%d unicast packets between others, none of a conversation that tells its directions: a switch that does not know a receiver floods like this", r.Foreign)
	default:
		r.because("%d unicast packets between others, in %d of about %.0f seconds, and %d of %d conversations both ways: a switch that does not know a receiver floods like this",
			r.Foreign, r.ForeignSeconds, r.Seconds, r.TwoWay, r.Telling)
	}
	r.next(mirrorSetup, "on a virtual switch, allow promiscuous mode or set up its port mirroring")
}

func (r *Result) oneDirection() {
	r.because("%d unicast packets between others, but only %d of %d conversations were seen both ways", r.Foreign, r.TwoWay, r.Telling)
	switch {
	case nearly(r.MostTo, r.Foreign):
		r.because("nearly all go to one station: what leaves one port, or lasting flooding to a station that the switch does not know, as asymmetric routing makes it")
		r.next("look that station up in the switch's MAC table: if it is not there, this is flooding")
	case nearly(r.MostFrom, r.Foreign):
		r.because("nearly all come from one station: what enters one port")
	}
	r.next("mirror both directions (rx and tx, or both) of the source port; who answers cannot be told from one",
		"where routes differ each way, mirror the other path as well")
}

func (r *Result) bothWays() {
	r.because("%d unicast packets between others, %d of %d conversations both ways, %d TCP handshakes seen whole", r.Foreign, r.TwoWay, r.Telling, r.Handshakes)
	if missing := r.Telling - r.TwoWay; 10*missing > r.Telling {
		r.because("%d conversations were seen one way only: some sources are mirrored in one direction, or routes differ each way", missing)
		r.next("mirror rx and tx of every source port")
	}
}

// remarks are what is worth knowing whatever the verdict.
func (r *Result) remarks(port Port) {
	if !port.Promiscuous && r.Verdict < OneDirection {
		r.because("the interface was not in promiscuous mode: unicast for others is thrown away by the card")
		r.next("check again in promiscuous mode")
	}
	if copies := r.Duplicates + r.RoutedDuplicates; copies > 0 && 50*copies >= r.Packets {
		r.because("%.0f %% of the packets came twice (%d, of these %d before and after a router): the mirror copies them where they enter and where they leave",
			100*float64(copies)/float64(r.Packets), copies, r.RoutedDuplicates)
		r.next("mirror one direction of a whole VLAN, or both directions of a single port, to have each packet once")
	}
	if len(r.VLANs) > 0 {
		r.because("VLAN tags are kept: %s", r.vlanList())
	}
	if r.Tunnelled > 0 {
		r.because("%d packets came in ERSPAN, addressed to this host", r.Tunnelled)
	}
	if r.Through > 0 && r.Through > r.Foreign {
		r.because("%d packets between others are sent to this host's own MAC: it routes or bridges them", r.Through)
	}
	if r.Own > 0 && r.Verdict >= OneDirection {
		r.because("this host talks over the interface too: %d packets from or to it", r.Own)
	}
	if lost := r.Dropped + r.IfDropped; lost > 0 {
		r.because("%d packets were lost here (%d for want of room, %d by the interface)", lost, r.Dropped, r.IfDropped)
	}
}

// vlanList names a few of them.
func (r *Result) vlanList() string {
	const most = 8
	s := ""
	for i, v := range r.VLANs {
		if i == most {
			return fmt.Sprintf("%s and %d more", s, len(r.VLANs)-most)
		}
		if i > 0 {
			s += ", "
		}
		s += fmt.Sprint(v.ID)
	}
	return s
}
