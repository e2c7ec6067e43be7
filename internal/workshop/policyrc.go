package main

import (
	"errors"
	"fmt"
	"os"
)

// policyFile is asked by Debian's maintainer scripts before they start a
// service (invoke-rc.d(8)); exit status 101 forbids it.
const policyFile = "/usr/sbin/policy-rc.d"

const forbidServices = "#!/bin/sh\nexit 101\n"

// keepDaemonsDown forbids service starts until restore is called. A policy
// that stands already is set aside and put back; one set aside by a run that
// was killed counts as the machine's own.
func keepDaemonsDown(path string) (restore func() error, err error) {
	aside := path + ".portreeve-aside"
	if err := setAside(path, aside); err != nil {
		return nil, fmt.Errorf("keep installed services from starting: %w", err)
	}
	if err := os.WriteFile(path, []byte(forbidServices), 0o755); err != nil {
		return nil, fmt.Errorf("keep installed services from starting: %w", errors.Join(err, putBack(path, aside)))
	}
	return func() error { return putBack(path, aside) }, nil
}

func setAside(path, aside string) error {
	if _, err := os.Lstat(aside); err == nil {
		return nil
	}
	return ignoreAbsent(os.Rename(path, aside))
}

func putBack(path, aside string) error {
	return errors.Join(ignoreAbsent(os.Remove(path)), ignoreAbsent(os.Rename(aside, path)))
}

func ignoreAbsent(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
