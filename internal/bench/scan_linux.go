package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"
)

// listenersOpen is how many ports of a target are open.
const listenersOpen = 53

// portsHunt is a hunt for open ports among all of one target's.
func portsHunt(ctx context.Context, before string, rounds int, scanners ...scanner) ([]trials, error) {
	var sides []trials
	err := inLab(func(l lab) error {
		if err := l.atTarget(func() error { return sh(before) }); err != nil {
			return err
		}
		ports := openPorts(listenersOpen)
		return l.holding(ctx, []holding{{addr: targetAddr, ports: commas(ports)}}, func() error {
			h := hunt{truth: endpoints("tcp", targetAddr, ports), scanners: scanners, rounds: rounds}
			var err error
			sides, err = h.run(ctx)
			return err
		})
	})
	return sides, err
}

const portsSituation = "53 TCP listeners on ports drawn at random out of 65,535, on a host at the other end of a veth between two network namespaces; the other ports are closed and answer with a reset. "

// scanConnect asks every port of a host with the kernel's own connections.
func scanConnect(ctx context.Context, o options) (result, error) {
	sides, err := portsHunt(ctx, "", o.scans,
		ourScanner(o, "ours", "-p-", "--method", "connect", targetAddr),
		nmapScanner("nmap", "-sT", "-p-", targetAddr))
	if err != nil {
		return result{}, err
	}
	return result{
		situation: portsSituation + judged,
		grids:     []grid{huntGrid(listenersOpen, sides)},
		goals:     []reached{asFast(sides, 1, 2), everyPort(sides[0], listenersOpen)},
	}, nil
}

const judged = "The list of open ports that each run gave is compared with the listeners; scanners take turns, in the reverse order every other round."

// scanSYN asks them with raw segments. The two forced rates show what speed
// without care costs.
func scanSYN(ctx context.Context, o options) (result, error) {
	forced := nmapScanner("nmap, forced rate", "-sS", "--min-rate", "100000", "-p-", targetAddr)
	forced.most = max(3, o.scans/5)
	sides, err := portsHunt(ctx, "", o.scans,
		ourScanner(o, "ours", "-p-", "--method", "syn", targetAddr),
		nmapScanner("nmap", "-sS", "-p-", targetAddr),
		forced,
		masscanScanner("--rate", "300000", "-p1-65535", targetAddr))
	if err != nil {
		return result{}, err
	}
	return result{
		situation: portsSituation + judged + " masscan's time has 2 s in it that it waits for late answers (`--wait 2`).",
		grids:     []grid{huntGrid(listenersOpen, sides)},
		goals:     []reached{asFast(sides, 1, 3), everyPort(sides[0], listenersOpen)},
	}, nil
}

// lossy drops SYNs at random where the target receives them.
const lossy = `nft -f - <<'END'
table inet lossy {
	chain input {
		type filter hook input priority filter; policy accept;
		iifname "t0" tcp flags & (syn | ack) == syn numgen random mod 100 < 20 drop
	}
}
END`

// lostShare is what lossy drops.
const lostShare = 0.20

// scanLoss asks them over a path that loses one probe in five.
func scanLoss(ctx context.Context, o options) (result, error) {
	slow := nmapScanner("nmap", "-sS", "-p-", targetAddr)
	slow.most, slow.patience = 1, 3*time.Minute
	sides, err := portsHunt(ctx, lossy, max(3, o.scans/2),
		ourScanner(o, "ours", "-p-", "--method", "syn", targetAddr), slow,
		masscanScanner("--rate", "300000", "-p1-65535", targetAddr))
	if err != nil {
		return result{}, err
	}
	return result{
		situation: portsSituation + "The target's packet filter drops 20 % of the SYNs at random. " + judged,
		grids:     []grid{huntGrid(listenersOpen, sides, spread("loss by its own estimate", "%.3g", trial.lossShare))},
		goals:     lossGoals(sides[0]),
	}, nil
}

func lossGoals(ours trials) []reached {
	found, estimate := mean(ours.of(trial.foundPorts)), mean(ours.of(trial.lossShare))
	return []reached{
		{fmt.Sprintf("at least 52.5 of 53 found on average: %.4g", found), found >= 52.5},
		{fmt.Sprintf("mean loss estimate within 8 points of 20 %%: %.3g %%", 100*estimate), math.Abs(estimate-lostShare) <= 0.08},
		{fmt.Sprintf("nothing wrongly open: %d", ours.wrongs()), ours.wrongs() == 0},
	}
}

// closedUDP are ports where nothing listens.
func closedUDP() []int {
	ports := make([]int, 41)
	for i := range ports {
		ports[i] = 2001 + i
	}
	return ports
}

// limitRecovers is how long a Linux host needs to be ready again for its burst
// of six ICMP errors to one peer, one a second (net/ipv4/icmp.c, XRLIM_BURST_FACTOR).
const limitRecovers = 8 * time.Second

// scanUDP asks a list of ports over UDP.
func scanUDP(ctx context.Context, o options) (result, error) {
	var services []int
	for _, s := range datagramServices() {
		services = append(services, s.port)
	}
	list := commas(slices.Sorted(slices.Values(append(closedUDP(), services...))))
	var sides []trials
	err := inLab(func(l lab) error {
		return l.holding(ctx, []holding{{addr: targetAddr, services: true}}, func() error {
			h := hunt{truth: endpoints("udp", targetAddr, services), rounds: max(3, o.scans/5), rest: limitRecovers, scanners: []scanner{
				ourScanner(o, "ours", "--udp", "-p", list, targetAddr),
				nmapScanner("nmap", "-sU", "-p", list, targetAddr),
			}}
			var err error
			sides, err = h.run(ctx)
			return err
		})
	})
	if err != nil {
		return result{}, err
	}
	return result{
		situation: "13 UDP services (" + serviceNames() + "; each answers its own protocol and nothing else) and 41 closed ports at the other end of a veth, whose kernel limits its ICMP errors as Linux does: a burst of six and then one a second to one peer, so that 41 closed ports cannot be told in less than 35 s. Before every run the limit has 8 s to recover. LIST is these 54 ports. " + judged,
		grids:     []grid{huntGrid(len(services), sides, spread("called closed, of 41", "%.0f", trial.closedPorts))},
		goals: []reached{asFast(sides, 1, 2),
			{fmt.Sprintf("nothing wrongly open: %d", sides[0].wrongs()), sides[0].wrongs() == 0}},
		notes: closedNote(sides),
	}, nil
}

// closedNote says so where the two did not learn the same of closed ports: the
// times then do not compare the same work.
func closedNote(sides []trials) []string {
	ours, theirs := median(sides[0].of(trial.closedPorts)), median(sides[1].of(trial.closedPorts))
	if ours == theirs {
		return nil
	}
	return []string{fmt.Sprintf("Not the same work: of the 41 closed ports ours calls %.0f closed, nmap %.0f; what is called neither open nor closed is left as open|filtered.", ours, theirs)}
}

func serviceNames() string {
	s := ""
	for i, d := range datagramServices() {
		if i > 0 {
			s += ", "
		}
		s += fmt.Sprintf("%s %d", d.name, d.port)
	}
	return s
}
