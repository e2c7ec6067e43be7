package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"regexp"
	"strings"
)

// skipJudge tells an honest skip from one that hides a gap, on a machine where
// every program is installed.
type skipJudge struct {
	root bool
	// kernelHas reads the kernel's own word on a CONFIG_ option; known is
	// false where the kernel does not say.
	kernelHas func(option string) (has, known bool)
}

var kernelOption = regexp.MustCompile(`CONFIG_[A-Z0-9_]+`)

// refuse says why a skip is no honest one, or "". A skip for a feature names
// the kernel's option for it (CONFIG_IP_SCTP).
func (j skipJudge) refuse(reason string) string {
	if options := kernelOption.FindAllString(reason, -1); len(options) > 0 {
		return j.refuseFeature(options)
	}
	switch {
	case strings.HasPrefix(reason, "missing: "):
		return "everything was installed"
	case strings.Contains(reason, "needs root") && j.root:
		return "this is root"
	}
	return ""
}

// refuseFeature allows the skip when one of the options named is off, or when
// the kernel does not say.
func (j skipJudge) refuseFeature(options []string) string {
	for _, option := range options {
		if has, known := j.kernelHas(option); !known || !has {
			return ""
		}
	}
	return "the kernel says that it has " + strings.Join(options, ", ")
}

// config is the text of a kernel's configuration.
type config []byte

// kernelConfig reads the running kernel's configuration where it is shown
// (/proc/config.gz, or Debian's /boot/config-RELEASE); nil where it is not.
func kernelConfig() config {
	if packed, err := os.ReadFile("/proc/config.gz"); err == nil {
		return unpack(packed)
	}
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return nil
	}
	text, err := os.ReadFile("/boot/config-" + strings.TrimSpace(string(release)))
	if err != nil {
		return nil
	}
	return text
}

func unpack(packed []byte) config {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(z, 16<<20))
	if err != nil {
		return nil
	}
	return text
}

// has reports an option that is built in. A module may not be loadable here,
// so it counts as not said.
func (c config) has(option string) (has, known bool) {
	if c == nil || bytes.Contains(c, []byte("\n"+option+"=m\n")) {
		return false, false
	}
	return bytes.Contains(c, []byte("\n"+option+"=y\n")), true
}
