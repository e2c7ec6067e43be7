//go:build !linux

package main

import (
	"context"
	"errors"
)

// errUnsupported is for systems without network namespaces.
var errUnsupported = errors.New("the benchmarks need Linux: they make network namespaces")

const holdMode = "hold"

func hold([]string) error { return errUnsupported }

func sections() []section { return nil }

func measureAll(context.Context, options, []section) error { return errUnsupported }
