package history

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// applicationID marks the file as ours (SQLite's header, offset 68): "PRVH".
const applicationID = 0x50525648

//go:embed sql
var sqlFiles embed.FS

var (
	errOlder   = errors.New("the history is of an older version")
	errForeign = errors.New("it is an SQLite database of something else")
	errCutOff  = errors.New("it is cut off")
)

// migrations are the steps from an empty file to the newest version: the file
// N.sql leads from version N-1 to N. A step that was released never changes.
func migrations() []string {
	entries, err := sqlFiles.ReadDir("sql")
	if err != nil {
		return nil
	}
	out := make([]string, len(entries))
	for _, e := range entries {
		n, err := strconv.Atoi(strings.TrimSuffix(e.Name(), ".sql"))
		text, readErr := sqlFiles.ReadFile("sql/" + e.Name())
		if err == nil && readErr == nil && 0 < n && n <= len(out) {
			out[n-1] = string(text)
		}
	}
	return out
}

// prepare brings the file to the newest version.
func (s *Store) prepare(ctx context.Context) error {
	version, err := s.version(ctx)
	if err != nil {
		return err
	}
	if err := s.writeAhead(ctx); err != nil {
		return err
	}
	if version == len(migrations()) {
		return nil
	}
	return s.change(ctx, "bring up to date", migrate)
}

// writeAhead switches to the write-ahead log. The pragma answers what holds
// now; it is a setting of the file.
func (s *Store) writeAhead(ctx context.Context) error {
	var mode string
	if err := s.db.QueryRowContext(ctx, "PRAGMA journal_mode=WAL").Scan(&mode); err != nil {
		return err
	}
	return nil // another mode (a file system without shared memory) is as safe, only slower
}

// migrate runs the steps that are missing, in one transaction: another process
// that does the same waits, and finds nothing left to do.
func migrate(t *tx) error {
	version, err := versionOf(t)
	if err != nil {
		return err
	}
	steps := migrations()
	for _, step := range steps[min(version, len(steps)):] {
		if _, err := t.ExecContext(t.ctx, step); err != nil {
			return fmt.Errorf("step from version %d: %w", version, err)
		}
		version++
	}
	for _, pragma := range []string{"application_id", "user_version"} {
		value := map[string]int{"application_id": applicationID, "user_version": version}[pragma]
		if _, err := t.ExecContext(t.ctx, fmt.Sprintf("PRAGMA %s = %d", pragma, value)); err != nil {
			return err
		}
	}
	return nil
}

// version reads the file's version: 0 for an empty one.
func (s *Store) version(ctx context.Context) (int, error) {
	var version int
	err := s.look(ctx, "read", func(t *tx) (err error) {
		version, err = versionOf(t)
		return err
	})
	return version, err
}

func versionOf(t *tx) (int, error) {
	var id, version, tables int
	err := t.one("PRAGMA application_id", nil, &id)
	if err == nil {
		err = t.one("PRAGMA user_version", nil, &version)
	}
	if err == nil { // one failure is enough to say
		err = t.one("SELECT count(*) FROM sqlite_schema", nil, &tables)
	}
	switch {
	case err != nil:
		return 0, err
	case id == 0 && version == 0 && tables == 0:
		return 0, nil
	case id != applicationID:
		return 0, errForeign
	case version > len(migrations()):
		return 0, &newerError{version, len(migrations())}
	}
	return version, nil
}

// newerError names both versions.
type newerError struct{ has, known int }

func (e *newerError) Error() string {
	return fmt.Sprintf("its schema is version %d, and this portreeve knows %d", e.has, e.known)
}

func (e *newerError) Is(target error) bool { return target == ErrNewer }
