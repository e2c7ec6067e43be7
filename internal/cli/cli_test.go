package cli

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/portreeve/portreeve/internal/knowledge"
	"github.com/spf13/cobra"
	"github.com/ulikunitz/xz"
)

// call runs the program in this process. Only commands that end before they
// look at the network may be called so.
func call(t *testing.T, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	code = Main(args, strings.NewReader(stdin), &out, &errs)
	return out.String(), errs.String(), code
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	must(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// Wrong usage and unreadable input end with 2 before anything is done, say
// what was wrong and what to do next, and leave stdout empty.
func TestWrongUsageIsExplained(t *testing.T) {
	bad := write(t, "bad.yaml", "version: 1\nexpect:\n  - port: 22\n    proces: sshd\n")
	noise := write(t, "noise.xml", "this is no scan\x1b[31m\n")
	cut := write(t, "cut.xml", `<?xml version="1.0"?><nmaprun><host><addre`)
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"adit"}, []string{`no command "adit"`, "did you mean: portreeve audit"}},
		{[]string{"audit", "--polcy", "x"}, []string{"unknown flag: --polcy", "portreeve audit --help"}},
		{[]string{"audit", "now"}, []string{`audit takes no arguments, got "now"`}},
		{[]string{"audit", "--fail-on", "urgent"}, []string{`"urgent"`, "low, medium or high"}},
		{[]string{"audit", "--fail-on", "info"}, []string{"low, medium or high"}},
		{[]string{"audit", "--observe", "-5s"}, []string{"negative"}},
		{[]string{"audit", "--observe", "soon"}, []string{"soon"}},
		{[]string{"audit", "--policy", "/nonexistent/p.yaml"}, []string{"read the policy", "/nonexistent/p.yaml", "nothing was sent or changed"}},
		{[]string{"audit", "--policy", "/"}, []string{"read the policy"}},
		{[]string{"audit", "--policy", bad}, []string{bad, "line 4", "proces"}},
		{[]string{"audit", "--vantage", "/nonexistent/v.xml"}, []string{"/nonexistent/v.xml"}},
		{[]string{"audit", "--vantage", noise}, []string{noise, "nmap"}},
		{[]string{"audit", "--vantage", cut}, []string{cut}},
		{[]string{"host", "--netns", "no-such-namespace"}, []string{"no-such-namespace", "ip netns list"}},
		{[]string{"host", "--color", "pink"}, []string{"pink", "auto, always or never"}},
		{[]string{"explain"}, []string{"needs one port"}},
		{[]string{"explain", "70000"}, []string{"70000", "1–65535"}},
		{[]string{"explain", "53/tpc"}, []string{"53/tpc"}},
		{[]string{"explain", "no-such-service-at-all"}, []string{"no-such-service-at-all"}},
	} {
		out, errs, code := call(t, "", c.args...)
		if code != exitUsage || out != "" {
			t.Errorf("%v: exit %d, stdout %q; want 2 and nothing", c.args, code, out)
		}
		for _, w := range c.want {
			if !strings.Contains(errs, w) {
				t.Errorf("%v: stderr lacks %q:\n%s", c.args, w, errs)
			}
		}
		if strings.Contains(errs, "\x1b") {
			t.Errorf("%v: raw escape on stderr: %q", c.args, errs)
		}
	}
}

func TestEveryCommandHelpsWithExamples(t *testing.T) {
	root := newRoot(&streams{in: strings.NewReader(""), out: io.Discard, err: io.Discard})
	for _, cmd := range append(root.Commands(), root) {
		if cmd.Hidden || cmd.Name() == "help" || cmd.Name() == "completion" {
			continue
		}
		if cmd.Example == "" || cmd.Short == "" || cmd.Long == "" {
			t.Errorf("%s has no example or description", cmd.CommandPath())
		}
		checkWidth(t, cmd)
	}
}

// checkWidth: help is read on 80 columns.
func checkWidth(t *testing.T, cmd *cobra.Command) {
	t.Helper()
	for line := range strings.Lines(cmd.Long + "\n" + cmd.Example) {
		if n := len([]rune(strings.TrimRight(line, "\n"))); n > 80 {
			t.Errorf("%s: %d columns: %s", cmd.CommandPath(), n, line)
		}
	}
}

func TestVersionAndBareCallHelp(t *testing.T) {
	if out, _, code := call(t, "", "--version"); code != 0 || !strings.HasPrefix(out, "portreeve ") {
		t.Errorf("--version: %d %q", code, out)
	}
	if out, _, code := call(t, ""); code != 0 || !strings.Contains(out, "portreeve audit") {
		t.Errorf("bare call: %d %q", code, out)
	}
}

// Inputs are told apart by their first bytes, from files and standard input.
func TestCompressedInputIsReadAsItIs(t *testing.T) {
	const text = "version: 1\n"
	var gz, zs, x bytes.Buffer
	gw := gzip.NewWriter(&gz)
	_, _ = gw.Write([]byte(text))
	must(t, gw.Close())
	zw, _ := zstd.NewWriter(&zs)
	_, _ = zw.Write([]byte(text))
	must(t, zw.Close())
	xw, _ := xz.NewWriter(&x)
	_, _ = xw.Write([]byte(text))
	must(t, xw.Close())
	// bzip2 of the same text (the library only reads).
	bz := "BZh91AY&SY3\x93\x8b\xef\x00\x00\x05Y\x80\x00\x10@\x00 \x10\x02!\x99\x00 \x001\x00\xd3M\x04\r\x03$\x81\x89\x12R\xf1w$S\x85\t\x0398\xbe\xf0"
	for name, packed := range map[string]string{"plain": text, "gz": gz.String(), "zst": zs.String(), "xz": x.String(), "bz2": bz} {
		b, err := readInput(&streams{in: strings.NewReader(packed)}, "-", 1000)
		if err != nil || string(b) != text {
			t.Errorf("%s: %q %v", name, b, err)
		}
	}
}

// A file that unpacks to more than is read is refused, not held in memory.
func TestUnpackedSizeIsBounded(t *testing.T) {
	var gz bytes.Buffer
	gw := gzip.NewWriter(&gz)
	_, _ = gw.Write(make([]byte, 1<<20))
	must(t, gw.Close())
	if _, err := readInput(&streams{in: &gz}, "-", 1000); err != errTooLarge {
		t.Errorf("got %v", err)
	}
}

// Lists are never null, whatever is known.
func TestExplainListsAreNeverNull(t *testing.T) {
	ex, err := lookUp(knowledge.Open(), "61234/tcp")
	must(t, err)
	b, err := json.Marshal(ex)
	must(t, err)
	if strings.Contains(string(b), "null") {
		t.Errorf("%s", b)
	}
}
