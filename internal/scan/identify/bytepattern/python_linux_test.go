package bytepattern

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/portreeve/portreeve/internal/nettest"
)

// question is one try, as the Python oracle reads it; answer what it says.
type question struct {
	Pattern string `json:"pattern"`
	Flags   string `json:"flags"`
	Text    string `json:"text"`
}

// pythonOracle runs Python's re over bytes. \Z of PCRE is not Python's, and
// nothing here uses it.
const pythonOracle = `
import sys, json, re
for line in sys.stdin:
    q = json.loads(line)
    flags = (re.I if "i" in q["flags"] else 0) | (re.S if "s" in q["flags"] else 0)
    try:
        m = re.compile(bytes.fromhex(q["pattern"]), flags).search(bytes.fromhex(q["text"]))
        print(json.dumps(None if m is None else [None if g is None else g.hex() for g in m.groups()]))
    except re.error as e:
        print(json.dumps("error " + str(e)))
`

// matchLine reads the pattern of a line of nmap-service-probes.
var matchLine = regexp.MustCompile(`(?m)^(?:soft)?match \S+ m(?:\|([^|\n]*)\||=([^=\n]*)=|%([^%\n]*)%|@([^@\n]*)@)([is]*)`)

// Every line of the installed nmap-service-probes finds a text made to match
// it, with the groups that Python's engine finds.
func TestInstalledPatternsAsPython(t *testing.T) {
	nettest.Need(t, "nmap")
	nettest.Need(t, "python3")
	file, err := os.ReadFile("/usr/share/nmap/nmap-service-probes")
	if err != nil {
		nettest.Missing(t, "nmap-service-probes of nmap-common")
	}
	var patterns []*Pattern
	var texts []string
	var questions bytes.Buffer
	for i, m := range matchLine.FindAllStringSubmatch(string(file), -1) {
		source, letters := m[1]+m[2]+m[3]+m[4], m[5]
		p := New(source, PCRE, Flags{IgnoreCase: strings.Contains(letters, "i"), DotAll: strings.Contains(letters, "s")}, &Shelf{Room: 1, Timeout: time.Minute})
		if i%7 != 0 && !strings.Contains(source, "(?") { // the odd ones, and of the others some
			continue
		}
		text, ok := sample(p, i)
		if !ok {
			continue
		}
		line, err := json.Marshal(question{hex.EncodeToString([]byte(source)), letters, hex.EncodeToString([]byte(text))})
		if err != nil {
			t.Fatal(err)
		}
		questions.Write(append(line, '\n'))
		patterns, texts = append(patterns, p), append(texts, text)
	}
	cmd := exec.CommandContext(t.Context(), "python3", "-c", pythonOracle)
	cmd.Stdin = &questions
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	answers := bufio.NewScanner(bytes.NewReader(out))
	answers.Buffer(nil, 1<<20)
	matched := 0
	for i, p := range patterns {
		if !answers.Scan() {
			t.Fatalf("%d answers of %d", i, len(patterns))
		}
		groups := found(t, p, texts[i])
		if groups != nil {
			matched++
		}
		if ours := inHex(groups); ours != answers.Text() {
			t.Errorf("%q on %q: %s, Python says %s", p.Source(), texts[i], ours, answers.Text())
		}
	}
	t.Logf("%d patterns, %d of them matched their text", len(patterns), matched)
	if matched < 2000 {
		t.Error("too few matched")
	}
}

// inHex writes groups as the oracle does.
func inHex(groups []string) string {
	if groups == nil {
		return "null"
	}
	var all []string
	for _, g := range groups[1:] {
		if g == none {
			all = append(all, "null")
			continue
		}
		all = append(all, fmt.Sprintf("%q", hex.EncodeToString([]byte(g))))
	}
	return "[" + strings.Join(all, ", ") + "]"
}

// lookaround is a group that only looks; left out, what remains can be used to
// make a text, which the whole pattern may then match or not.
var lookaround = regexp.MustCompile(`\(\?<?[=!][^()]*\)|\(\?:\\1\)`)

// sample makes a text that the pattern probably matches.
func sample(p *Pattern, seed int) (string, bool) {
	text, _, err := translate(p.source, p.dialect, p.flags, linear)
	if err != nil {
		return "", false
	}
	text = lookaround.ReplaceAllString(text, "")
	text = strings.ReplaceAll(text, "(?s:.)", `[\x00-\xff]`)
	if _, err := regexp.Compile(text); err != nil {
		return "", false
	}
	wide := rapid.StringMatching(text).Example(seed)
	if len(wide) > 8192 {
		return "", false
	}
	return narrow(wide), true
}
