package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/scan"
	"github.com/portreeve/portreeve/internal/scan/target"
)

// saved reads the state file; none yet is no error.
func (f *scanFlags) saved(s *streams) (*scanRequest, error) {
	if f.resume == "" {
		return nil, nil
	}
	file, err := os.Open(f.resume)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, scanError(fmt.Errorf("read the saved scan: %w", err))
	}
	defer func() { _ = file.Close() }()
	state, err := scan.ReadState(file)
	if err != nil {
		return nil, scanError(fmt.Errorf("read %s: %w", f.resume, err))
	}
	req := &scanRequest{state: state, file: f.resume}
	if err := json.Unmarshal(state.Request, req); err != nil {
		return nil, scanError(fmt.Errorf("read %s: %w: %w", f.resume, scan.ErrState, err))
	}
	return req, req.restore()
}

// restore makes the set of the saved ranges.
func (r *scanRequest) restore() error {
	var ranges []target.Range
	for _, text := range r.Ranges {
		first, last, _ := strings.Cut(text, " ")
		a, errA := netip.ParseAddr(first)
		b, errB := netip.ParseAddr(last)
		if errA != nil || errB != nil {
			return scanError(fmt.Errorf("read %s: %w: range %.80q", r.file, scan.ErrState, text))
		}
		ranges = append(ranges, target.Range{First: a, Last: b})
	}
	set, err := target.NewSet(ranges...)
	if err != nil || set.Len() == 0 {
		return scanError(fmt.Errorf("read %s: %w: no targets", r.file, scan.ErrState))
	}
	r.targets = &namedSet{set, map[netip.Addr]string{}}
	for addr, name := range r.Names {
		if a, err := netip.ParseAddr(addr); err == nil {
			r.targets.names[a] = name
		}
	}
	return nil
}

// same tells whether two requests ask the same; how fast does not count.
func (r *scanRequest) same(o *scanRequest) bool {
	return slices.Equal(r.Ranges, o.Ranges) && slices.Equal(r.TCP, o.TCP) && slices.Equal(r.UDP, o.UDP) &&
		r.Shard == o.Shard && r.NoDiscovery == o.NoDiscovery
}

// save writes the state beside the old one and then in its place, so that an
// end at any moment leaves one of the two.
func (r *scanRequest) save(state *scan.State) error {
	var err error
	if state.Request, err = json.Marshal(r); err != nil {
		return err
	}
	b, err := json.Marshal(state)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(r.file), filepath.Base(r.file)+".*")
	if err != nil {
		return err
	}
	_, err = io.Copy(tmp, bytes.NewReader(b))
	err = errors.Join(err, tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), r.file)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
	}
	return err
}
