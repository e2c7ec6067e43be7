package sink

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// receiver counts how often each notice came, in order of the first time.
type receiver struct {
	mu    sync.Mutex
	times map[string]int
	order []string
	down  bool
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	_, _ = io.Copy(io.Discard, req.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.down {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	id := req.Header.Get("Idempotency-Key")
	if r.times[id]++; r.times[id] == 1 {
		r.order = append(r.order, id)
	}
}

func (r *receiver) set(down bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down = down
}

// TestWebhookKilled ends the process 32 times at random points, with the
// receiver up and down: every notice that was accepted comes, in order, and at
// most one of each life comes twice.
func TestWebhookKilled(t *testing.T) {
	t.Parallel()
	const lives = 32
	r := &receiver{times: map[string]int{}}
	srv := httptest.NewServer(r)
	defer srv.Close()
	dir := t.TempDir()
	var accepted []string
	for life := range lives {
		r.set(life%3 == 1)
		accepted = append(accepted, live(t, dir, srv.URL, life*10000, time.Duration(rand.IntN(25_000))*time.Microsecond)...)
	}
	r.set(false)
	place, _ := testPlace(t)
	place.Spool = dir
	f := open(t, place, Config{Kind: Webhook, URL: srv.URL})
	eventually(t, "the spool is empty", func() bool { return f.Status()[0].Spooled == 0 })
	r.mu.Lock()
	defer r.mu.Unlock()
	twice := 0
	for _, id := range accepted {
		switch n := r.times[id]; {
		case n == 0:
			t.Errorf("notice %s was accepted and never came", id)
		case n > 1:
			twice += n - 1
		}
	}
	if twice > lives {
		t.Errorf("%d came twice in %d lives", twice, lives)
	}
	for i := 1; i < len(r.order); i++ {
		if r.order[i] < r.order[i-1] {
			t.Fatalf("%s came before %s", r.order[i-1], r.order[i])
		}
	}
	if len(accepted) < lives {
		t.Fatalf("only %d notices were accepted: nothing was tried", len(accepted))
	}
	t.Logf("%d accepted, %d came, %d twice", len(accepted), len(r.order), twice)
}

// live runs the child and kills it; it returns what it had accepted.
func live(t *testing.T, dir, url string, from int, after time.Duration) (ids []string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "SINK_CHILD_SPOOL="+dir, "SINK_CHILD_URL="+url, fmt.Sprint("SINK_CHILD_FROM=", from))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	killed := false
	for lines.Scan() {
		if !killed {
			killed = true
			time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
		}
		ids = append(ids, lines.Text())
	}
	_ = cmd.Wait()
	return ids
}
