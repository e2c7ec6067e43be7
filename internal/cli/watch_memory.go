package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/portreeve/portreeve/internal/watch"
)

// watchMemory is what was told and is not over, in a file of its own: a start
// after kill -9 tells nothing anew. The zero value remembers nothing.
type watchMemory struct {
	path     string
	findings []watch.Remembered
	problem  error // why the file could not be read
}

const maxMemory = 64 << 20

// openWatchMemory reads the file of one scope of watching (namespaces).
func openWatchMemory(dir, scope string) *watchMemory {
	sum := sha256.Sum256([]byte(scope))
	m := &watchMemory{path: filepath.Join(dir, "watch-"+hex.EncodeToString(sum[:6])+".json")}
	info, err := os.Stat(m.path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return m
	case err == nil && info.Size() > maxMemory:
		err = errTooLarge
	}
	var b []byte
	if err == nil {
		b, err = os.ReadFile(m.path)
	}
	if err == nil {
		err = json.Unmarshal(b, &m.findings)
	}
	if err != nil {
		m.findings, m.problem = nil, fmt.Errorf("read %s: %w", m.path, err)
	}
	return m
}

// keep remembers what was told and forgets what is over.
func (m *watchMemory) keep(list []watch.Verdict) error {
	for i := range list {
		r := watch.Remember(&list[i])
		m.findings = slices.DeleteFunc(m.findings, func(o watch.Remembered) bool { return o.Key() == r.Key() })
		if !list[i].Resolved {
			m.findings = append(m.findings, r)
		}
	}
	if m.path == "" {
		return nil
	}
	return m.write()
}

// write replaces the file as a whole.
func (m *watchMemory) write() error {
	b, err := json.Marshal(m.findings)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(m.path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(m.path), ".watch-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if _, err := f.Write(b); err != nil {
		_ = f.Close()
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), m.path)
}
