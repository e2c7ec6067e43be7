//go:build !linux

package discover

import "testing"

func agreeWithFilter(*testing.T, []byte, bool) {}
