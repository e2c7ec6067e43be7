package sink

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"time"
)

// lines appends JSON Lines to a file. The file is opened again when its name
// leads elsewhere (rotation), and after Reopen. A line that could not be
// written whole is taken back; one that a crash left behind is cut off when it
// is no JSON, so that every line of the file is a whole object.
type lines struct {
	path string

	mu     sync.Mutex
	file   *os.File
	looked time.Time
	anew   bool
	broken bool // half a line stands at the end and could not be taken back
}

// lookEvery is how often the name is checked.
const lookEvery = 500 * time.Millisecond

func openLines(path string) *lines { return &lines{path: path} }

// Reopen is for rotation: the next line goes to the file of that name then.
func (l *lines) Reopen() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.anew = true
}

func (l *lines) Send(_ context.Context, n *Notice) error {
	line, err := n.Line()
	if err != nil {
		return permanentf("write notice %s: %w", n.ID, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.ensure(); err != nil {
		return err
	}
	return l.write(line)
}

// ensure has the right file open.
func (l *lines) ensure() error {
	if l.file != nil && (l.anew || time.Since(l.looked) > lookEvery) {
		l.looked = time.Now()
		if l.anew || l.moved() {
			_ = l.file.Close()
			l.file, l.broken = nil, false
		}
	}
	l.anew = false
	if l.file != nil {
		return nil
	}
	// O_NONBLOCK: opening a pipe that nobody reads must not hang.
	f, err := os.OpenFile(l.path, os.O_RDWR|os.O_CREATE|os.O_APPEND|syscall.O_NONBLOCK, 0o640)
	if errors.Is(err, fs.ErrPermission) { // readable by nobody: write only
		f, err = os.OpenFile(l.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND|syscall.O_NONBLOCK, 0o640)
	}
	if err != nil {
		return fmt.Errorf("open the JSON Lines: %w", err)
	}
	l.file, l.looked = f, time.Now()
	return l.repair()
}

// moved reports that the name leads to another file, or to none.
func (l *lines) moved() bool {
	have, err := l.file.Stat()
	if err != nil {
		return true
	}
	want, err := os.Stat(l.path)
	return err != nil || !os.SameFile(have, want)
}

// lastLine bounds how far back the beginning of the last line is sought.
const lastLine = maxRecord

// repair looks at a last line without its end.
func (l *lines) repair() error {
	st, err := l.file.Stat()
	if err != nil || !st.Mode().IsRegular() || st.Size() == 0 {
		return nil // a pipe or a device has no last line
	}
	b := make([]byte, min(st.Size(), lastLine))
	if n, err := l.file.ReadAt(b, st.Size()-int64(len(b))); n < len(b) && err != io.EOF || n == 0 {
		l.broken = true // unreadable: begin a line of its own
		return nil
	}
	at := bytes.LastIndexByte(b, '\n') + 1
	tail := b[at:]
	if len(tail) == 0 {
		return nil
	}
	ours := bytes.HasPrefix(tail, []byte(`{"`)) || len(tail) == 1 && tail[0] == '{'
	if ours && !json.Valid(tail) && (at > 0 || int64(len(b)) == st.Size()) {
		if err := l.file.Truncate(st.Size() - int64(len(tail))); err == nil {
			return nil
		}
	}
	l.broken = true
	return nil
}

// write appends one line, whole or not at all.
func (l *lines) write(line []byte) error {
	if l.broken {
		line = append([]byte{'\n'}, line...)
	}
	before := int64(-1)
	if st, err := l.file.Stat(); err == nil && st.Mode().IsRegular() {
		before = st.Size()
	}
	n, err := l.file.Write(line)
	if err == nil {
		l.broken = false
		return nil
	}
	if n > 0 {
		l.takeBack(before, n)
	}
	return fmt.Errorf("write the JSON Lines: %w", err)
}

// takeBack removes the n bytes that were written of a line, if they are still
// the last ones.
func (l *lines) takeBack(before int64, n int) {
	st, err := l.file.Stat()
	if before >= 0 && err == nil && st.Size() == before+int64(n) && l.file.Truncate(before) == nil {
		return
	}
	l.broken = true
}

func (l *lines) Close(context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	err := l.file.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		err = nil // a pipe
	}
	if closing := l.file.Close(); err == nil {
		err = closing
	}
	l.file = nil
	if err != nil {
		return fmt.Errorf("close the JSON Lines: %w", err)
	}
	return nil
}
