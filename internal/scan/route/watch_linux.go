package route

import (
	"encoding/binary"
	"errors"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Down says why nothing passes an interface now (ErrLinkDown, ErrNoCarrier,
// ErrLinkGone), nil if something may.
func (t *Table) Down(index int) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.catchUp(); err != nil {
		return err
	}
	return t.down(index, "")
}

func (t *Table) down(index int, name string) error {
	l, ok := t.links[index]
	if !ok {
		return &Error{"use interface", name, ErrLinkGone}
	}
	if err := l.down(); err != nil {
		return &Error{"use interface", l.name, err}
	}
	return nil
}

// Check says why a path that was found for a destination holds no longer: its
// interface is down, there is no route, or (ErrMoved) the route leads another
// way. Where nothing was announced since, it costs one system call.
func (t *Table) Check(dst netip.Addr, p Path) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.catchUp(); err != nil {
		return err
	}
	if err := t.down(p.Index, p.Iface); err != nil {
		return err
	}
	now, err := t.now(dst.Unmap())
	if err == nil && (now.Index != p.Index || now.Gateway != p.Gateway || now.Src != p.Src || now.Local != p.Local) {
		err = ErrMoved
	}
	if err != nil {
		return &Error{"keep to the way to", dst.String(), err}
	}
	return nil
}

// now is the path without any cell where something has changed: one question
// is cheaper than listing everything again.
func (t *Table) now(dst netip.Addr) (Path, error) {
	if !t.changed {
		return t.path(dst)
	}
	oif, err := t.towards(dst)
	if err != nil {
		return Path{}, err
	}
	return t.find(dst.WithZone(""), oif)
}

// catchUp reads what the kernel has announced.
func (t *Table) catchUp() error {
	for {
		b, err := t.news.receive(unix.MSG_DONTWAIT)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return nil
		case errors.Is(err, unix.ENOBUFS), errors.Is(err, errCut):
			// Announcements were lost: everything may have changed.
			t.changed = true
			if err := t.listLinks(); err != nil {
				return err
			}
		case err != nil:
			return err
		default:
			if err := walk(b, t.hear); err != nil {
				return err
			}
		}
	}
}

func (t *Table) hear(m message) error {
	switch m.kind {
	case unix.RTM_NEWLINK:
		// Bridges announce their ports with family AF_BRIDGE and few attributes.
		if len(m.body) == 0 || m.body[0] != unix.AF_UNSPEC {
			return nil
		}
		l, err := decodeLink(m.body)
		if err == nil {
			t.links[l.index], t.changed = l, true
		}
		return err
	case unix.RTM_DELLINK:
		if len(m.body) >= unix.SizeofIfInfomsg && m.body[0] == unix.AF_UNSPEC {
			delete(t.links, int(int32(binary.NativeEndian.Uint32(m.body[4:]))))
		}
	}
	t.changed = true
	return nil
}
