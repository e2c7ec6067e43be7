package event

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/host"
	"golang.org/x/sys/unix"
)

// follower makes events of records: it knows which sockets are open and who
// opened them.
type follower struct {
	label  string
	only   uint32 // 0: every namespace
	reader host.Reader
	people *people
	// open are the sockets told as opened, by record.key: their closing is
	// told with the owner that they had.
	open map[uint64]opened
	// spaces names namespaces by inode.
	spaces  map[uint32]exposure.NetNS
	learned time.Time
	// devices names interfaces.
	devices map[device]string
	low     uint16
	high    uint16
	// asking are listeners that asked for a peer and may have got one.
	asking []pending
}

// pending is a listener that asked for a peer.
type pending struct {
	event Event
	key   uint64
	// address and cookie name the socket to the kernel.
	address, cookie uint64
	due             time.Time
}

// grace is how long a socket may take to connect.
const grace = 100 * time.Millisecond

type opened struct {
	owner *person
	inode uint64
	port  uint16
}

type device struct{ netns, index uint32 }

func newFollower(ctx context.Context, o Options, cgroups *cgroups) (*follower, error) {
	f := &follower{label: SourceBPF, open: map[uint64]opened{}, spaces: map[uint32]exposure.NetNS{}, devices: map[device]string{}}
	f.low, f.high = portRange()
	if o.NetNS != "" && o.NetNS != host.AllNetNS {
		inode, err := f.find(ctx, o.NetNS)
		if err != nil {
			return nil, err
		}
		f.only = inode
	}
	f.people = newPeople(cgroups)
	return f, nil
}

// find looks up the one namespace that is asked for.
func (f *follower) find(ctx context.Context, name string) (uint32, error) {
	inode, err := inodeOf(filepath.Join("/run/netns", filepath.Base(name)))
	if err == nil && filepath.Base(name) == name {
		return uint32(inode), nil
	}
	spaces, _, err := f.reader.Spaces(ctx, name)
	if err != nil {
		return 0, fmt.Errorf("network namespace %q: %w", name, err)
	}
	n, err := strconv.ParseUint(spaces[0].ID, 10, 32)
	return uint32(n), err
}

func (f *follower) close() error { return f.people.close() }

// forget drops what may be wrong after a loss: the end of a socket may be
// among what was lost.
func (f *follower) forget() {
	clear(f.open)
	f.asking = nil
}

// maxAsking bounds those that are looked at again; the rest is told as closed
// when it ends.
const maxAsking = 4096

// ask notes a listener that asks for a peer.
func (f *follower) ask(e Event, r *record) {
	if len(f.asking) < maxAsking {
		f.asking = append(f.asking, pending{e, r.key(), r.address, r.cookie, time.Now().Add(grace)})
	}
}

// settle tells the listeners that have a peer by now as closed: a connected
// socket is no door for strangers.
func (f *follower) settle(connected func(address, cookie uint64) bool, fn func(Event) error) error {
	now := time.Now()
	for len(f.asking) > 0 && !now.Before(f.asking[0].due) {
		p := f.asking[0]
		f.asking = f.asking[1:]
		if !connected(p.address, p.cookie) {
			continue // refused, or told as closed meanwhile
		}
		delete(f.open, p.key)
		if err := fn(p.event); err != nil {
			return err
		}
	}
	return nil
}

// tell makes events of records that came together.
func (f *follower) tell(ctx context.Context, records []record, fn func(Event) error) error {
	if len(records) == 0 {
		return nil
	}
	wall := wallAtBoot()
	owners := f.people.describe(ctx, records)
	for i := range records {
		e, ok := f.event(ctx, &records[i], owners[i])
		if !ok {
			continue
		}
		e.At = wall.Add(time.Duration(records[i].time)).UTC()
		if records[i].kind == kindConnecting {
			f.ask(e, &records[i])
			continue
		}
		if err := fn(e); err != nil {
			return err
		}
	}
	return nil
}

// wallAtBoot is the time of day when the kernel's clock began, by the clock
// of now.
func wallAtBoot() time.Time {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return time.Now()
	}
	return time.Now().Add(-time.Duration(ts.Nano()))
}

func (f *follower) event(ctx context.Context, r *record, owner *person) (Event, bool) {
	e := Event{Kind: Opened, Socket: r.socket(), Cookie: r.cookie, Source: f.label}
	known, have := f.open[r.key()]
	if r.kind == kindOpened {
		if have || !f.counts(r) {
			return e, false
		}
		f.open[r.key()] = opened{owner, r.inode, r.port}
	} else {
		if !have && r.flags&flagConnected != 0 {
			return e, false // its closing was told when it connected
		}
		if r.kind == kindClosed {
			delete(f.open, r.key())
		}
		e.Kind = Closed
		if have {
			owner = known.owner
			e.restore(known)
		}
	}
	e.Socket.NetNS = f.space(r.netns)
	if r.ifindex != 0 {
		e.Socket.Device = f.device(ctx, device{r.netns, r.ifindex})
		e.Socket.Addr = exposure.IPAddress(zoned(e.Socket.Addr.IP, e.Socket.Device))
	}
	owner.fill(&e.Socket, r)
	return e, true
}

// restore puts back what the kernel had already taken from the socket.
func (e *Event) restore(o opened) {
	if e.Socket.Port == 0 {
		e.Socket.Port = o.port
	}
	if len(e.Socket.Inodes) == 0 && o.inode != 0 {
		e.Socket.Inodes = []uint64{o.inode}
	}
}

// counts leaves out datagram sockets whose address and port the kernel chose.
// Where the socket does not say it yet, the port's range does.
func (f *follower) counts(r *record) bool {
	if !r.datagram() || r.locks&(lockAddr|lockPort) != 0 || r.flags&flagNamed != 0 {
		return true
	}
	return !r.addr.IsUnspecified() || r.port < f.low || r.port > f.high
}

const (
	namesEvery = 10 * time.Second
	maxNames   = 4096
)

// space names a namespace by /run/netns. An unknown one is looked for again
// after a while: it may be given a name later.
func (f *follower) space(inode uint32) exposure.NetNS {
	ns, known := f.spaces[inode]
	if !known || ns.Name == "" && time.Since(f.learned) > namesEvery {
		if len(f.spaces) > maxNames {
			clear(f.spaces)
		}
		f.learn()
		ns = f.spaces[inode]
		ns.ID = strconv.FormatUint(uint64(inode), 10)
		f.spaces[inode] = ns
	}
	return ns
}

func (f *follower) learn() {
	const dir = "/run/netns"
	f.learned = time.Now()
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if inode, err := inodeOf(filepath.Join(dir, e.Name())); err == nil {
			f.spaces[uint32(inode)] = exposure.NetNS{ID: strconv.FormatUint(inode, 10), Name: e.Name()}
		}
	}
}

// device names an interface; "if3" where its namespace cannot be entered.
func (f *follower) device(ctx context.Context, d device) string {
	if name, ok := f.devices[d]; ok {
		return name
	}
	name := "if" + strconv.FormatUint(uint64(d.index), 10)
	spaces, _, err := f.reader.Spaces(ctx, strconv.FormatUint(uint64(d.netns), 10))
	if err == nil {
		_ = spaces[0].Inside(func() error {
			link, err := net.InterfaceByIndex(int(d.index))
			if err == nil {
				name = link.Name
			}
			return err
		})
	}
	if len(f.devices) > maxNames {
		clear(f.devices)
	}
	f.devices[d] = name
	return name
}
