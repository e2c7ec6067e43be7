package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

// Store is an open history. Its methods may be called by several goroutines,
// and several processes may have the file open: writers wait for each other,
// readers wait for nobody.
type Store struct {
	db   *sql.DB
	path string
	o    Options
}

// waitBusy is how long another process is waited for.
const waitBusy = 10 * time.Second

// Open opens the history at path (a file; its folder is made with mode 0700,
// the file with 0600), and brings an older one up to date. Close it.
func Open(ctx context.Context, path string, o Options) (*Store, error) {
	s := &Store{path: path, o: o.withDefaults()}
	if !supported {
		return nil, s.fail("open", ErrUnsupported)
	}
	if err := s.place(); err != nil {
		return nil, err
	}
	if err := s.open(ctx); err != nil {
		return nil, s.fail("open", err)
	}
	return s, nil
}

func (o Options) withDefaults() Options {
	if o.Busy <= 0 {
		o.Busy = waitBusy
	}
	o.Keep = o.Keep.withDefaults()
	return o
}

// smallest is the smallest SQLite database: a page.
const smallest = 512

// place makes the folder and the file, or finds that there is none to read.
// The file is looked at by name only: closing any descriptor of it would let
// go of this process's locks (fcntl(2)).
func (s *Store) place() error {
	st, err := os.Stat(s.path)
	switch {
	case err == nil && 0 < st.Size() && st.Size() < smallest:
		return s.fail("open", errCutOff) // SQLite would take it for an empty one
	case err == nil:
		return nil
	case !errors.Is(err, os.ErrNotExist):
		return s.fail("open", err)
	case s.o.ReadOnly:
		return s.fail("open", ErrNone)
	}
	if err := os.MkdirAll(filepath.Dir(s.path), 0o700); err != nil {
		return s.fail("make the folder of", err)
	}
	// A file of its own, linked into place, is never seen with another mode.
	f, err := os.CreateTemp(filepath.Dir(s.path), ".history-*")
	if err != nil {
		return s.fail("create", err)
	}
	defer os.Remove(f.Name())
	if err := f.Close(); err != nil {
		return s.fail("create", err)
	}
	if err := os.Link(f.Name(), s.path); err != nil && !errors.Is(err, os.ErrExist) {
		return s.createPlainly()
	}
	return nil
}

// createPlainly serves file systems without links.
func (s *Store) createPlainly() error {
	f, err := os.OpenFile(s.path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return s.fail("create", err)
	}
	return f.Close()
}

func (s *Store) open(ctx context.Context) error {
	if s.o.ReadOnly {
		return s.openToRead(ctx)
	}
	if err := s.connect(""); err != nil {
		return err
	}
	if err := s.prepare(ctx); err != nil {
		_ = s.db.Close()
		return err
	}
	return nil
}

// openToRead opens without the right to write. A history of an older version
// is brought up to date first, where that may be done.
func (s *Store) openToRead(ctx context.Context) error {
	err := s.tryRead(ctx, "mode=ro")
	if kindOf(err) == ErrReadOnly {
		// A folder that cannot be written has no room for the files by which
		// readers and writers agree; without a writer none is needed.
		if size, statErr := os.Stat(s.path + "-wal"); statErr != nil || size.Size() == 0 {
			err = s.tryRead(ctx, "mode=ro&immutable=1")
		}
	}
	if !errors.Is(err, errOlder) {
		return err
	}
	if err := s.connect(""); err != nil {
		return err
	}
	if err := s.prepare(ctx); err != nil {
		_ = s.db.Close()
		return fmt.Errorf("bring it up to date: %w", err)
	}
	return nil
}

func (s *Store) tryRead(ctx context.Context, params string) error {
	if err := s.connect(params); err != nil {
		return err
	}
	version, err := s.version(ctx)
	switch {
	case err == nil && version == 0:
		err = ErrNone // made by somebody who got no further
	case err == nil && version < len(migrations()):
		err = errOlder
	}
	if err != nil {
		_ = s.db.Close()
	}
	return err
}

// connect names the file and the settings; nothing is opened yet. The write-
// ahead log lets the watch write while others read, and synchronous=FULL has
// every commit on the disk before it counts.
func (s *Store) connect(params string) error {
	abs, err := filepath.Abs(s.path)
	if err != nil {
		return err
	}
	dsn := url.URL{Scheme: "file", Opaque: (&url.URL{Path: filepath.ToSlash(abs)}).EscapedPath()}
	q := "_defensive=1&_error_rc=1&_dqs=0&_txlock=immediate&_foreign_keys=1&_busy_timeout=" + fmt.Sprint(s.o.Busy.Milliseconds())
	if params == "" {
		params = "_synchronous=FULL&_pragma=journal_size_limit(4194304)"
	} else {
		q += "&_query_only=1"
	}
	dsn.RawQuery = q + "&" + params
	s.db, err = sql.Open("sqlite", dsn.String())
	if err != nil {
		return err
	}
	s.db.SetMaxOpenConns(1)
	return nil
}

// Close ends the use of the file.
func (s *Store) Close() error { return s.fail("close", s.db.Close()) }

// Path is the file's name.
func (s *Store) Path() string { return s.path }

// change runs fn in one transaction: all of it is kept, or nothing.
func (s *Store) change(ctx context.Context, what string, fn func(*tx) error) error {
	t, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return s.fail(what, err)
	}
	if err := fn(&tx{Tx: t, ctx: ctx, stmts: map[string]*sql.Stmt{}}); err != nil {
		_ = t.Rollback()
		return s.fail(what, err)
	}
	return s.fail(what, t.Commit())
}

// look runs fn in one reading transaction: all that it reads is of one moment.
func (s *Store) look(ctx context.Context, what string, fn func(*tx) error) error {
	t, err := s.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return s.fail(what, err)
	}
	defer func() { _ = t.Rollback() }()
	return s.fail(what, fn(&tx{Tx: t, ctx: ctx, stmts: map[string]*sql.Stmt{}}))
}

// tx is a transaction that prepares each statement once.
type tx struct {
	*sql.Tx
	ctx   context.Context
	stmts map[string]*sql.Stmt
}

func (t *tx) stmt(query string) (*sql.Stmt, error) {
	if st := t.stmts[query]; st != nil {
		return st, nil
	}
	st, err := t.PrepareContext(t.ctx, query)
	if err == nil {
		t.stmts[query] = st
	}
	return st, err
}

func (t *tx) run(query string, args ...any) (sql.Result, error) {
	st, err := t.stmt(query)
	if err != nil {
		return nil, err
	}
	return st.ExecContext(t.ctx, args...)
}

// do is run for those who need no result.
func (t *tx) do(query string, args ...any) error {
	_, err := t.run(query, args...)
	return err
}

// one reads one row; sql.ErrNoRows when there is none.
func (t *tx) one(query string, args []any, into ...any) error {
	st, err := t.stmt(query)
	if err != nil {
		return err
	}
	return st.QueryRowContext(t.ctx, args...).Scan(into...)
}

// each reads rows; next scans one.
func (t *tx) each(query string, args []any, next func(scan func(...any) error) error) error {
	st, err := t.stmt(query)
	if err != nil {
		return err
	}
	rows, err := st.QueryContext(t.ctx, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := next(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Times in the file are nanoseconds since 1970; 0 is no time.

func stamp(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func moment(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}
