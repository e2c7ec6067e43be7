package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A run as go test -json writes it: a pass, a failure, two skips, a test that
// crashed the package, a package that does not build, and a line that is no
// event.
const run1 = `{"Action":"start","Package":"m/a"}
{"Action":"run","Package":"m/a","Test":"TestGood"}
{"Action":"output","Package":"m/a","Test":"TestGood","Output":"=== RUN   TestGood\n"}
{"Action":"output","Package":"m/a","Test":"TestGood","Output":"--- PASS: TestGood (0.00s)\n"}
{"Action":"pass","Package":"m/a","Test":"TestGood"}
{"Action":"output","Package":"m/a","Test":"TestBad","Output":"=== RUN   TestBad\n"}
{"Action":"output","Package":"m/a","Test":"TestBad","Output":"    a_test.go:9: want 1\n"}
{"Action":"output","Package":"m/a","Test":"TestBad","Output":"--- FAIL: TestBad (0.00s)\n"}
{"Action":"fail","Package":"m/a","Test":"TestBad"}
{"Action":"output","Package":"m/a","Test":"TestSkip","Output":"=== RUN   TestSkip\n"}
{"Action":"output","Package":"m/a","Test":"TestSkip","Output":"    nettest.go:30: nettest: needs root to make a network namespace\n"}
{"Action":"output","Package":"m/a","Test":"TestSkip","Output":"--- SKIP: TestSkip (0.00s)\n"}
{"Action":"skip","Package":"m/a","Test":"TestSkip"}
{"Action":"output","Package":"m/a","Test":"TestBare","Output":"--- SKIP: TestBare (0.00s)\n"}
{"Action":"skip","Package":"m/a","Test":"TestBare"}
{"Action":"output","Package":"m/a","Output":"FAIL\n"}
{"Action":"output","Package":"m/a","Output":"FAIL\tm/a\t0.010s\n"}
{"Action":"fail","Package":"m/a"}
{"Action":"output","Package":"m/b","Test":"TestCrash","Output":"panic: oh\n"}
{"Action":"output","Package":"m/b","Output":"FAIL\tm/b\t0.010s\n"}
{"Action":"fail","Package":"m/b"}
{"ImportPath":"m/c","Action":"build-output","Output":"c.go:3: undefined: x\n"}
{"Action":"output","Package":"m/c","Output":"FAIL\tm/c [build failed]\n"}
{"Action":"fail","Package":"m/c"}
not an event
{"Action":"output","Package":"m/d","Output":"PASS\n"}
{"Action":"output","Package":"m/d","Output":"ok  \tm/d\t0.010s\n"}
{"Action":"pass","Package":"m/d"}
`

const want1 = `    a_test.go:9: want 1
--- FAIL: TestBad (0.00s)
FAIL
FAIL	m/a	0.010s
FAIL	m/b	0.010s
panic: oh
c.go:3: undefined: x
FAIL	m/c [build failed]
not an event
ok  	m/d	0.010s

1 passed, 3 failed, 2 skipped
  failed: m/a TestBad
  failed: m/b TestCrash
  failed: m/c (the package itself, see above)
  skipped, nettest: needs root to make a network namespace:
      m/a TestSkip
  skipped, no reason given:
      m/a TestBare
`

func TestResultsReadLikeGoTest(t *testing.T) {
	var out bytes.Buffer
	r := newResults(&out, false)
	if err := r.read(strings.NewReader(run1)); err != nil {
		t.Fatal(err)
	}
	r.summary()
	if diff := cmp.Diff(want1, out.String()); diff != "" {
		t.Error(diff)
	}
}

// With -v every line is there, once.
func TestVerboseHidesNothing(t *testing.T) {
	var out bytes.Buffer
	r := newResults(&out, true)
	if err := r.read(strings.NewReader(run1)); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"=== RUN   TestGood\n", "--- PASS: TestGood", "--- SKIP: TestBare", "a_test.go:9: want 1", "panic: oh", "PASS\nok  \tm/d"} {
		if n := strings.Count(out.String(), line); n != 1 {
			t.Errorf("%q is there %d times", line, n)
		}
	}
}

func TestSkipReason(t *testing.T) {
	cases := []struct{ lines, want string }{
		{"=== RUN   TestX\n|    x_test.go:12: no reason to go on\n|--- SKIP: TestX (0.00s)\n", "no reason to go on"},
		{"    x_test.go:5: a log line first\n|    x_test.go:12: the reason\n", "the reason"},
		{"--- SKIP: TestX (0.00s)\n", "no reason given"},
	}
	for _, c := range cases {
		if got := skipReason(strings.Split(c.lines, "|")); got != c.want {
			t.Errorf("%q gives %q, want %q", c.lines, got, c.want)
		}
	}
}

func TestSkipsThatHideAGap(t *testing.T) {
	kernel := config("\nCONFIG_MPTCP=y\n# CONFIG_IP_SCTP is not set\nCONFIG_VLAN_8021Q=m\n")
	cases := []struct {
		reason string
		root   bool
		honest bool
	}{
		{"missing: program nmap (make deps installs it)", false, false},
		{"nettest: needs root to make a network namespace", false, true},
		{"nettest: needs root to make a network namespace", true, false},
		{"kernel lacks CONFIG_IP_SCTP", true, true},
		{"kernel lacks CONFIG_MPTCP", true, false},
		{"kernel lacks CONFIG_MPTCP or CONFIG_IP_SCTP", true, true},
		{"kernel lacks CONFIG_VLAN_8021Q, a module that may not be loadable", true, true},
		{"slow test in short mode", true, true},
	}
	for _, c := range cases {
		judge := skipJudge{root: c.root, kernelHas: kernel.has}
		if why := judge.refuse(c.reason); (why == "") != c.honest {
			t.Errorf("%q as root=%v: %q", c.reason, c.root, why)
		}
	}
	silent := skipJudge{root: true, kernelHas: config(nil).has}
	if why := silent.refuse("kernel lacks CONFIG_MPTCP"); why != "" {
		t.Errorf("a kernel that does not show its configuration: %s", why)
	}
}

// The tests that run the built program are found by name, and they are those
// of the command line alone.
func TestProgramTestsAreFound(t *testing.T) {
	names, err := programTests("../cli")
	if err != nil || !slices.Contains(names, "TestScanByEveryMethod") || slices.Contains(names, "TestMain") || slices.Contains(names, "TestScanUsage") {
		t.Errorf("%q, %v", names, err)
	}
}
