package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ours makes a tool of our program. Exit 3 (done in part) is allowed where a
// machine hides something; the answers are compared all the same.
func ours(o options, read reading, asked []string, args ...string) tool {
	t := tool{shown: "portreeve", argv: append([]string{o.bin}, args...), read: read, accept: []int{1, 3}}
	for _, a := range args {
		t.shown += " " + a
	}
	if asked != nil {
		t.asked = append([]string{o.bin}, asked...)
	}
	return t
}

func theirs(read reading, accept []int, argv ...string) tool {
	t := tool{argv: argv, read: read, accept: accept}
	for i, a := range argv {
		if i > 0 {
			t.shown += " "
		}
		t.shown += a
	}
	return t
}

// largeHost is a host with many sockets: a few listeners in each process, the
// rest connections between them.
func largeHost(ctx context.Context, o options) (result, error) {
	var res result
	err := inNamespace(func() error {
		list := largeLoad(o.sockets, o.procs)
		h, err := startHolders(ctx, list)
		if err != nil {
			return err
		}
		listeners := 0
		for _, l := range list {
			listeners += l.listeners
		}
		res.situation = fmt.Sprintf("A host with %d TCP sockets in %d processes: %d listeners, the rest established connections over loopback, in one network namespace. "+
			"The Debian tools see that namespace alone, so ours is asked for it alone (`--netns self`); the last row asks for every namespace of the host. "+
			"Ours names executable, unit, package and container of each listener as well.", o.sockets, o.procs, listeners)
		res.rows, err = contests(ctx, largeContests(o))
		return errors.Join(err, h.release())
	})
	return res, err
}

// largeLoad spreads sockets evenly: six listeners in each process, the rest in
// pairs. An odd rest makes one listener more.
func largeLoad(sockets, procs int) []holding {
	var list []holding
	for i := range procs {
		share := sockets / procs
		if i < sockets%procs {
			share++
		}
		pairs := max(0, share-6) / 2
		list = append(list, holding{
			addr: fmt.Sprintf("127.1.%d.%d", i/250, 1+i%250), port: 2001,
			listeners: share - 2*pairs, pairs: pairs,
		})
	}
	return list
}

func largeContests(o options) []contest {
	listening := []string{"host", "--json", "--netns", "self"}
	all := []string{"host", "--all", "--json", "--netns", "self"}
	ourJSON := ours(o, ourListeners, nil, listening...)
	ourText := ours(o, ourListeners, listening, "host", "--netns", "self")
	ourAll := ours(o, ourPairs, nil, all...)
	ourAllText := ours(o, ourPairs, all, "host", "--all", "--netns", "self")
	everywhere := ours(o, ourListeners, listening, "host", "--json")

	ss := theirs(ssListeners, nil, "ss", "-tlnp")
	ssAll := theirs(ssPairs, nil, "ss", "-tanp")
	lsof := theirs(lsofListeners, nil, "lsof", "-nP", "-iTCP", "-sTCP:LISTEN")
	netstat := theirs(netstatListeners, nil, "netstat", "-tlnp")

	const lean = 64 << 10 // KiB
	return []contest{
		{what: "listeners and owners", ours: ourJSON, theirs: ss, rounds: o.rounds, goal: goal{ratio: 8, peakKiB: lean}},
		{what: "listeners and owners, text", ours: ourText, theirs: ss, rounds: o.rounds, goal: goal{ratio: 8, peakKiB: lean}},
		{what: "every socket and owners", ours: ourAll, theirs: ssAll, rounds: o.rounds, goal: goal{ratio: 10}},
		{what: "every socket and owners, text", ours: ourAllText, theirs: ssAll, rounds: o.rounds, goal: goal{ratio: 10}},
		{what: "listeners and owners", ours: ourJSON, theirs: lsof, rounds: o.rounds},
		{what: "listeners and owners", ours: ourJSON, theirs: netstat, rounds: o.rounds},
		{what: "every namespace against one", ours: everywhere, theirs: ss, rounds: o.rounds},
	}
}

// smallHost is a host as most are.
func smallHost(ctx context.Context, o options) (result, error) {
	var res result
	err := inNamespace(func() error {
		h, err := startHolders(ctx, smallLoad())
		if err != nil {
			return err
		}
		res.situation = "A small host: 24 TCP listeners and 12 UDP sockets in 12 processes, in one network namespace, among the other processes of the machine. " +
			"Here ours reads packages, units and executables of twelve owners and ss does not."
		res.rows, err = contests(ctx, smallContests(o))
		return errors.Join(err, h.release())
	})
	return res, err
}

func smallLoad() []holding {
	var list []holding
	for i := range 12 {
		list = append(list, holding{addr: fmt.Sprintf("127.2.0.%d", 1+i), port: 2001, listeners: 2, udp: 1})
	}
	return list
}

func smallContests(o options) []contest {
	listening := []string{"host", "--json", "--netns", "self"}
	quick := goal{ratio: 1.0 / 3, within: 60 * time.Millisecond}
	ss := theirs(ssListeners, nil, "ss", "-tulnp")
	rounds := 4 * o.rounds
	return []contest{
		{what: "listeners and owners", ours: ours(o, ourTransports, listening, "host", "--netns", "self"), theirs: ss, rounds: rounds, goal: quick},
		{what: "listeners and owners, JSON", ours: ours(o, ourTransports, nil, listening...), theirs: ss, rounds: rounds, goal: quick},
		{what: "every namespace against one", ours: ours(o, ourTransports, listening, "host"), theirs: ss, rounds: rounds, goal: goal{within: 60 * time.Millisecond}},
	}
}
