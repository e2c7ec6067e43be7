package sink

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

func journalHere() error { return nil }

// journalConn is a datagram socket to the journal.
type journalConn struct{ conn *net.UnixConn }

func (c *journalConn) send(ctx context.Context, path string, entry []byte) error {
	if c.conn == nil {
		conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
		if err != nil {
			return err
		}
		c.conn = conn
	}
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(attemptWithin)
	}
	if err := c.conn.SetWriteDeadline(deadline); err != nil {
		return err
	}
	_, err := c.conn.Write(entry)
	if errors.Is(err, unix.EMSGSIZE) || errors.Is(err, unix.ENOBUFS) {
		return c.sendFile(entry)
	}
	return err
}

// sendFile hands over a sealed memory file: for entries that are too large
// for a datagram.
func (c *journalConn) sendFile(entry []byte) error {
	fd, err := unix.MemfdCreate("portreeve-notice", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return fmt.Errorf("make a memory file for a large notice: %w", err)
	}
	f := os.NewFile(uintptr(fd), "notice")
	defer f.Close()
	if _, err := f.Write(entry); err != nil {
		return fmt.Errorf("write the memory file of a large notice: %w", err)
	}
	const seals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE | unix.F_SEAL_SEAL
	if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, seals); err != nil {
		return fmt.Errorf("seal the memory file of a large notice: %w", err)
	}
	return c.pass(unix.UnixRights(int(f.Fd())))
}

// pass sends a message without text: net's WriteMsgUnix refuses a connected
// datagram socket.
func (c *journalConn) pass(rights []byte) error {
	raw, err := c.conn.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Write(func(fd uintptr) bool {
		failed = unix.Sendmsg(int(fd), nil, rights, nil, 0)
		return !errors.Is(failed, unix.EAGAIN)
	})
	if err != nil {
		return err
	}
	return failed
}

func (c *journalConn) close() {
	if c.conn != nil {
		_ = c.conn.Close()
	}
	c.conn = nil
}
