package fwlog

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"time"
)

// Follow reads the log at path as it grows, until ctx is done: from its end
// on, or from its beginning. Every poll it looks for more. A log that was
// truncated is read from its beginning; one that was replaced (rotated) is
// read to its end, then its successor from the beginning. It may be missing
// for a while in between.
func Follow(ctx context.Context, path string, beginning bool, poll time.Duration, o Options, visit Visit) (Stats, error) {
	f, err := os.Open(path)
	if err != nil {
		return Stats{}, err
	}
	t := &tail{ctx: ctx, path: path, poll: max(poll, time.Millisecond), f: f, last: '\n'}
	defer func() { t.f.Close() }()
	if !beginning {
		if t.at, err = f.Seek(0, io.SeekEnd); err != nil {
			return Stats{}, err
		}
	}
	return Scan(t, o, visit)
}

// tail is a reader of a file that grows. Its end is the end of ctx.
type tail struct {
	ctx  context.Context // for the time of one Follow
	path string
	poll time.Duration
	f    *os.File
	at   int64 // how far f was read
	last byte  // the last byte that was given
}

func (t *tail) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	for {
		if t.ctx.Err() != nil {
			return 0, io.EOF
		}
		n, err := t.f.Read(b)
		if n > 0 {
			t.at += int64(n)
			t.last = b[n-1]
			return n, nil
		}
		if err != nil && err != io.EOF {
			return 0, err
		}
		again, err := t.turn()
		if err != nil {
			return 0, err
		}
		if again && t.last != '\n' { // a line that was cut off ends there
			t.last, b[0] = '\n', '\n'
			return 1, nil
		}
		if !again {
			t.wait()
		}
	}
}

// turn looks whether the file was truncated or replaced and begins anew then.
func (t *tail) turn() (again bool, err error) {
	mine, err := t.f.Stat()
	if err != nil {
		return false, err
	}
	theirs, err := os.Stat(t.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	case os.SameFile(mine, theirs):
		if theirs.Size() >= t.at {
			return false, nil
		}
		t.at = 0
		_, err = t.f.Seek(0, io.SeekStart)
		return true, err
	case mine.Size() > t.at: // written to meanwhile
		return true, nil
	}
	return t.replace()
}

func (t *tail) replace() (again bool, err error) {
	f, err := os.Open(t.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	t.f.Close()
	t.f, t.at = f, 0
	return true, nil
}

func (t *tail) wait() {
	timer := time.NewTimer(t.poll)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.ctx.Done():
	}
}
