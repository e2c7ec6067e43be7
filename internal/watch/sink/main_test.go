package sink

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strconv"
	"testing"
)

// TestMain runs the test binary as a child that notices pass through, when it
// is asked to: it is the one that kill -9 ends.
func TestMain(m *testing.M) {
	if dir := os.Getenv("SINK_CHILD_SPOOL"); dir != "" {
		child(dir, os.Getenv("SINK_CHILD_URL"), os.Getenv("SINK_CHILD_FROM"))
		return
	}
	os.Exit(m.Run())
}

// child sends notices without end and prints the ID of each that was accepted.
func child(dir, url, from string) {
	f, err := Open(context.Background(), []Config{{Kind: Webhook, URL: url}}, Place{Spool: dir, Host: "child"})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	n, _ := strconv.Atoi(from)
	out := bufio.NewWriterSize(os.Stdout, 64)
	for ; ; n++ {
		id := fmt.Sprintf("n%06d", n)
		if f.Send(context.Background(), notice(id)) == nil {
			fmt.Fprintln(out, id)
			_ = out.Flush()
		}
	}
}
