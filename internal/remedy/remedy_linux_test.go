package remedy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// presentRules are rule sets that stand before a change: files of testdata.
func presentRules(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("testdata/present/*.nft")
	if err != nil || len(files) == 0 {
		t.Fatal("no rule sets", err)
	}
	out := map[string]string{}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		out[strings.TrimSuffix(filepath.Base(f), ".nft")] = string(data)
	}
	return out
}

func TestUndoIsByteForByte(t *testing.T) {
	for _, kind := range kinds(t) {
		for name, rules := range presentRules(t) {
			if kind != "nft" && name == "ours-with-a-comment" || kind == "legacy" && name != "docker-like" {
				continue // nothing of it is that backend's
			}
			t.Run(kind+", "+name, func(t *testing.T) {
				t.Parallel()
				l := newLab(t)
				l.ns.Script("nft -f - <<'E'\n" + rules + "\nE")
				if kind == "legacy" {
					l.ns.Script("iptables-legacy -A INPUT -p tcp --dport 99 -j DROP; ip6tables-legacy -N OTHER")
				}
				before := l.rules()
				l.mustApply(l.options(time.Minute, loads(kind)...))
				if l.rules() == before {
					t.Fatal("nothing was applied")
				}
				if _, err := l.confirm(); err != nil {
					t.Fatal(err)
				}
				if _, err := l.undo(); err != nil {
					t.Fatal(err)
				}
				if after := l.rules(); after != before {
					t.Errorf("after undo:\n%s\nbefore:\n%s", after, before)
				}
			})
		}
	}
}

func TestExpiresUnlessConfirmed(t *testing.T) {
	for _, kind := range kinds(t) {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			if kind == "legacy" {
				l.ns.Script("iptables-legacy -N OTHER; ip6tables-legacy -N OTHER")
			}
			before := l.rules()
			l.mustApply(l.options(time.Second, loads(kind)...))
			applied := l.rules()
			if applied == before {
				t.Fatal("nothing was applied")
			}
			took := l.await(before, 8*time.Second)
			if took < 500*time.Millisecond {
				t.Errorf("taken back after %s, before its time", took)
			}
			t.Logf("taken back after %s", took)
			l.awaitGuard()
			if _, err := l.confirm(); ReasonOf(err) != TooLate {
				t.Errorf("confirmed afterwards: %v", err)
			}
			if _, err := l.undo(); ReasonOf(err) != Nothing {
				t.Errorf("undone afterwards: %v", err)
			}
		})
	}
}
