//go:build !linux

package sockdiag

import "strconv"

func dial() (transport, uint32, error) {
	return nil, 0, &OpError{Op: "open", Kind: ErrUnsupported}
}

func describe(op string, err error) error { return &OpError{Op: op, Err: err} }

func kernelError(op string, errno int) error {
	if errno == 0 {
		return nil
	}
	return &OpError{Op: op + ": error " + strconv.Itoa(errno)}
}
