package holders

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/portreeve/portreeve/internal/nettest"
)

// fakeProc makes a proc tree: process → descriptor → link.
func fakeProc(t *testing.T, tree map[string]map[int]string) string {
	t.Helper()
	root := t.TempDir()
	for dir, links := range tree {
		at := filepath.Join(root, dir, "fd")
		if err := os.MkdirAll(at, 0o755); err != nil {
			t.Fatal(err)
		}
		for fd, link := range links {
			if err := os.Symlink(link, filepath.Join(at, fmt.Sprint(fd))); err != nil {
				t.Fatal(err)
			}
		}
	}
	return root
}

func TestWalkOfATree(t *testing.T) {
	root := fakeProc(t, map[string]map[int]string{
		"1": {0: "/dev/null", 3: "socket:[10]"},
		"7": {3: "socket:[10]", 4: "socket:[11]", 5: "pipe:[12]", 2000000: "socket:[13]"},
		"x": {3: "socket:[14]"},
	})
	if err := os.Mkdir(filepath.Join(root, "9"), 0o755); err != nil { // it ended: no fd folder
		t.Fatal(err)
	}
	got, err := Walk(t.Context(), WalkOptions{ProcRoot: root})
	if err != nil {
		t.Fatal(err)
	}
	want := Walked{Processes: 3, Records: []Record{{10, 1, 3}, {10, 7, 3}, {11, 7, 4}, {13, 7, 2000000}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestWalkEndsEarly(t *testing.T) {
	tree := map[string]map[int]string{}
	for pid := 1; pid < 50; pid++ {
		tree[fmt.Sprint(pid)] = map[int]string{3: "socket:[10]", 4: "socket:[11]"}
	}
	root := fakeProc(t, tree)
	if _, err := Walk(t.Context(), WalkOptions{ProcRoot: root, Budget: 50}); !errors.Is(err, ErrOverBudget) {
		t.Errorf("over the budget: %v", err)
	}
	if _, err := Walk(t.Context(), WalkOptions{ProcRoot: root, Budget: 98}); err != nil {
		t.Errorf("within the budget: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Walk(ctx, WalkOptions{ProcRoot: root}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	var walkError *WalkError
	if _, err := Walk(t.Context(), WalkOptions{ProcRoot: filepath.Join(root, "none")}); !errors.As(err, &walkError) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no such root: %v", err)
	}
}

// Where kcmp cannot tell, every thread's table is read, and doubles are
// dropped: the answer is the same.
func TestWalkWithoutKcmp(t *testing.T) {
	f, err := os.Open("/proc")
	if err != nil {
		t.Skip("no /proc")
	}
	defer f.Close()
	me := int32(os.Getpid())
	read := func(kcmp bool) []Record {
		w := &walk{ctx: t.Context(), proc: int(f.Fd()), pids: []int32{me}, kcmp: kcmp}
		got, err := w.run()
		if err != nil {
			t.Fatal(err)
		}
		return got.Records
	}
	ns := nettest.New(t)
	ns.Listen("tcp", "127.0.0.1:80")
	with, without := read(true), read(false)
	if diff := cmp.Diff(with, without); diff != "" || len(with) == 0 {
		t.Errorf("%d records\n%s", len(with), diff)
	}
}

// Reading a descriptor allocates nothing: a process with many costs no more
// allocations than one with few, but for the records themselves.
func TestWalkAllocations(t *testing.T) {
	links := map[int]string{}
	for fd := range 1000 {
		links[fd] = "/dev/null"
	}
	root := fakeProc(t, map[string]map[int]string{"1": links})
	perWalk := testing.AllocsPerRun(10, func() {
		if _, err := Walk(t.Context(), WalkOptions{ProcRoot: root}); err != nil {
			t.Fatal(err)
		}
	})
	if perWalk > 100 {
		t.Errorf("%v allocations for 1000 descriptors", perWalk)
	}
}
