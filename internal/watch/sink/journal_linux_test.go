package sink

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestJournalEntry(t *testing.T) {
	got, err := readJournal(journalEntry(notice("n1")))
	if err != nil {
		t.Fatal(err)
	}
	for k, want := range map[string]string{
		"PRIORITY": "2", "MESSAGE_ID": journalMessageID, "SYSLOG_IDENTIFIER": "portreeve", "PORTREEVE_ID": "n1", "PORTREEVE_KIND": "opened",
		"PORTREEVE_ENDPOINT": "tcp/0.0.0.0:5432", "PORTREEVE_BECAUSE": "it listens everywhere\nthe firewall lets in", "PORTREEVE_UNIT": "postgresql.service",
	} {
		if got[k] != want {
			t.Errorf("%s is %q, want %q", k, got[k], want)
		}
	}
	hard, err := readJournal(journalEntry(hostileNotice("n2")))
	if err != nil || hard["PORTREEVE_CMDLINE"] != hostile || hard["PORTREEVE_ID"] != "n2" || strings.ContainsAny(hard["MESSAGE"], "\n\x1b") {
		t.Fatalf("%v %q", err, hard)
	}
}

// TestJournalSocket: small entries are datagrams, large ones a sealed memory
// file, and a journal that was restarted is found again.
func TestJournalSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	listen := func() *net.UnixConn {
		c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetReadDeadline(time.Now().Add(15 * time.Second))
		return c
	}
	c := listen()
	place, _ := testPlace(t)
	f := open(t, place, Config{Kind: Journald, Address: path})
	for _, size := range []int{1, 5 << 20} {
		n := notice("n1")
		n.Finding.Because = []string{strings.Repeat("x", size)}
		if err := f.Send(t.Context(), n); err != nil {
			t.Fatal(err)
		}
		b, file := readDatagram(t, c)
		if file != (size > 1<<20) {
			t.Fatalf("%d bytes as a file: %v", size, file)
		}
		got, err := readJournal(b)
		if err != nil || len(got["PORTREEVE_BECAUSE"]) != size {
			t.Fatal(err, len(got["PORTREEVE_BECAUSE"]))
		}
	}
	_, _ = c.Close(), os.Remove(path)
	send(t, f, 5, 6)
	eventually(t, "a failure", func() bool { return f.Status()[0].Failures > 0 })
	c = listen()
	defer c.Close()
	b, _ := readDatagram(t, c)
	if got, err := readJournal(b); err != nil || got["PORTREEVE_ID"] != "n000005" {
		t.Fatal(err, got)
	}
}

func readDatagram(t *testing.T, c *net.UnixConn) (b []byte, file bool) {
	t.Helper()
	b, oob := make([]byte, 1<<20), make([]byte, 128)
	n, noob, _, _, err := c.ReadMsgUnix(b, oob)
	if err != nil {
		t.Fatal(err)
	}
	if n > 0 {
		return b[:n], false
	}
	list, err := unix.ParseSocketControlMessage(oob[:noob])
	if err != nil || len(list) != 1 {
		t.Fatal("neither bytes nor a file:", err)
	}
	fds, err := unix.ParseUnixRights(&list[0])
	if err != nil || len(fds) != 1 {
		t.Fatal(err, fds)
	}
	f := os.NewFile(uintptr(fds[0]), "memfd")
	defer f.Close()
	seals, err := unix.FcntlInt(f.Fd(), unix.F_GET_SEALS, 0)
	if want := unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE | unix.F_SEAL_SEAL; err != nil || seals != want {
		t.Fatalf("seals %#x, want %#x (%v)", seals, want, err)
	}
	b, err = io.ReadAll(io.NewSectionReader(f, 0, 1<<30))
	if err != nil {
		t.Fatal(err)
	}
	return b, true
}

func FuzzJournalField(f *testing.F) {
	for _, s := range []string{"x", "a=b", "a\nb", "\n", hostile, strings.Repeat("\n", 300)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b := appendJournal(appendJournal(nil, "MESSAGE", s), "PORTREEVE_ID", "n1")
		got, err := readJournal(b)
		if err != nil || got["MESSAGE"] != s || got["PORTREEVE_ID"] != "n1" {
			t.Fatalf("%q: %q, %v", s, got, err)
		}
	})
}
