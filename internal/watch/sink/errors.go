package sink

import (
	"errors"
	"fmt"
)

// ErrSpoolFull: a notice was not taken because the spool is as large as it
// may be. It is counted as dropped.
var ErrSpoolFull = errors.New("the spool is full")

// ErrSpoolTaken: another process has the spool.
var ErrSpoolTaken = errors.New("another portreeve watch has it")

// ErrUnsupported: this kind of sink does not exist on this system.
var ErrUnsupported = errors.New("not on this system")

// permanent is an error that trying again does not cure.
type permanent struct{ err error }

func (p *permanent) Error() string { return p.err.Error() }
func (p *permanent) Unwrap() error { return p.err }

func permanentf(format string, args ...any) error { return &permanent{fmt.Errorf(format, args...)} }

func isPermanent(err error) bool {
	var p *permanent
	return errors.As(err, &p) || errors.Is(err, ErrSpoolFull)
}
