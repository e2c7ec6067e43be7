package closing

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/portreeve/portreeve/internal/remedy"
)

// contents reads a file; nil when it is not there.
func contents(r *run, path string) ([]byte, error) {
	data, err := r.Files.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fail(remedy.State, path+" cannot be read", err)
	}
	if data == nil {
		data = []byte{}
	}
	return data, nil
}

// put writes a file beside and renames it over: whoever reads it sees the old
// one or the new one. Owner, mode and label stay.
func put(path string, data []byte, mode fs.FileMode) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".portreeve-*")
	if err != nil {
		return err
	}
	tmp := f.Name()
	_, err = f.Write(data)
	if old, statErr := os.Stat(path); statErr == nil {
		mode = old.Mode()
		err = errors.Join(err, owned(f, old, path))
	}
	err = errors.Join(err, f.Chmod(mode.Perm()), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		_ = os.Remove(tmp)
		return err
	}
	return remedy.SyncDir(dir)
}

// diff compares two texts of a file.
func diff(path string, before, after []byte) Diff {
	d := Diff{Path: path, Lines: []string{}}
	for _, l := range remedy.Compare(before, after) {
		d.Lines = append(d.Lines, string(rune(l.Op))+l.Text)
	}
	return d
}
