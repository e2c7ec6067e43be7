package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"time"
)

// The wide target: every address of the prefix is the one host's.
const (
	widePrefix    = "10.10.0.0/16"
	wideAddresses = 1 << 16
	wideRate      = "300000"
)

// widePorts are asked of every address; wideOpen of them are open.
func widePorts() []int {
	return []int{21, 22, 23, 25, 53, 80, 110, 143, 443, 445, 993, 995, 3306, 3389, 5432, 8080}
}

func wideOpen() []int { return []int{22, 8080} }

const wideTarget = "ip route add local " + widePrefix + ` dev lo
nft -f - <<'END'
table inet arrivals {
	counter probes { }
	chain early {
		type filter hook prerouting priority raw; policy accept;
		iifname "t0" tcp flags & (syn | ack | rst) == syn counter name probes
	}
}
END`

// scanWide asks a few ports of many addresses.
func scanWide(ctx context.Context, o options) (result, error) {
	truth := wideTruth()
	var sides []trials
	err := inLab(func(l lab) error {
		if err := sh("ip route add " + widePrefix + " via " + targetAddr); err != nil {
			return err
		}
		if err := l.atTarget(func() error { return sh(wideTarget) }); err != nil {
			return err
		}
		return l.holding(ctx, []holding{{addr: "0.0.0.0", ports: commas(wideOpen())}}, func() error {
			h := hunt{truth: truth, scanners: wideScanners(o), rounds: max(3, o.scans/4), meter: l.probeMeter}
			var err error
			sides, err = h.run(ctx)
			return err
		})
	})
	if err != nil {
		return result{}, err
	}
	return result{
		situation: wideSituation,
		grids: []grid{huntGrid(len(truth), sides,
			spread("probes/s at the target", "%.0f", trial.arrivalRate), spread("probes/s, its own count", "%.0f", trial.ownRate))},
		goals: wideGoals(sides, len(truth)),
	}, nil
}

const wideSituation = "65,536 addresses (a /16, all of them one host's) and 16 ports of each at the other end of a veth: 1,048,576 probes, two of the ports open at every address. LIST is the ports. " +
	"Probes a second are the SYNs that a counter of the target's packet filter saw, read ten times a second, between the first and the last twentieth of them; " +
	"beside it, sent packets over seconds by the scanner's own statistics, waiting and asking again included. masscan's time has 2 s in it that it waits for late answers."

func wideTruth() answer {
	a := answer{}
	addr := netip.MustParsePrefix(widePrefix).Addr()
	for range wideAddresses {
		for key := range endpoints("tcp", addr.String(), wideOpen()) {
			a[key] = true
		}
		addr = addr.Next()
	}
	return a
}

func wideScanners(o options) []scanner {
	list := commas(widePorts())
	return []scanner{
		ourScanner(o, "ours, same rate", "--rate", wideRate, "-p", list, widePrefix),
		masscanScanner("--rate", wideRate, "-p", list, widePrefix),
		ourScanner(o, "ours, rate found by itself", "--rate", "auto", "-p", list, widePrefix),
	}
}

func wideGoals(sides []trials, truth int) []reached {
	var goals []reached
	theirs := median(sides[1].of(trial.arrivalRate))
	for _, s := range []trials{sides[0], sides[2]} {
		rate := median(s.of(trial.arrivalRate))
		share := mean(s.of(trial.foundPorts)) / float64(truth)
		peak := int64(slices.Max(s.of(trial.memory)))
		goals = append(goals,
			reached{fmt.Sprintf("%s: at least 0.8× masscan's probe rate or 250,000 a second: %.3g×, %s", s.what, rate/max(theirs, 1), thousands(int(rate))), rate >= 0.8*theirs || rate >= 250_000},
			reached{fmt.Sprintf("%s: at least 99.99 %% of the open endpoints and none wrongly: %.5g %%, %d", s.what, 100*share, s.wrongs()), share >= 0.9999 && s.wrongs() == 0},
			reached{fmt.Sprintf("%s: peak below 200 MiB: %s", s.what, memory(peak)), peak < 200<<10})
	}
	return goals
}

// sample is the target's counter at a moment.
type sample struct {
	at     time.Time
	probes float64
}

// probeMeter reads the target's counter ten times a second until stopped.
func (l lab) probeMeter() (stop func() (float64, error)) {
	end, ended := make(chan struct{}), make(chan error, 1)
	var samples []sample
	go func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			s, err := l.readCounter()
			if err != nil {
				ended <- err
				return
			}
			samples = append(samples, s)
			select {
			case <-end:
				ended <- nil
				return
			case <-tick.C:
			}
		}
	}()
	return func() (float64, error) {
		close(end)
		err := <-ended
		return arrivalRate(samples), err
	}
}

func (l lab) readCounter() (sample, error) {
	var s sample
	err := l.atTarget(func() error {
		out, err := exec.Command("nft", "-j", "list", "counter", "inet", "arrivals", "probes").Output()
		if err != nil {
			return fmt.Errorf("read the target's counter: %w", err)
		}
		s.at = time.Now()
		s.probes, err = counterPackets(out)
		return err
	})
	return s, err
}

// counterPackets reads nft -j list counter.
func counterPackets(out []byte) (float64, error) {
	var doc struct {
		Nftables []struct{ Counter struct{ Packets float64 } }
	}
	if err := json.Unmarshal(out, &doc); err != nil {
		return 0, fmt.Errorf("read nft's counter: %w", err)
	}
	total := 0.0
	for _, n := range doc.Nftables {
		total += n.Counter.Packets
	}
	return total, nil
}

// arrivalRate is the slope between the first and the last twentieth of what
// arrived, so that neither start nor waiting counts.
func arrivalRate(samples []sample) float64 {
	if len(samples) < 2 {
		return 0
	}
	first, last := samples[0], samples[len(samples)-1]
	share := func(s sample) float64 { return (s.probes - first.probes) / max(last.probes-first.probes, 1) }
	from := slices.IndexFunc(samples, func(s sample) bool { return share(s) >= 0.05 })
	to := slices.IndexFunc(samples, func(s sample) bool { return share(s) >= 0.95 })
	if from < 0 || to <= from {
		return 0
	}
	return (samples[to].probes - samples[from].probes) / samples[to].at.Sub(samples[from].at).Seconds()
}
