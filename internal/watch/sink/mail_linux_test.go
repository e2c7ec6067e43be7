package sink

import (
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fakeSendmail keeps what it is given; exit codes are in the file `exit`.
func fakeSendmail(t *testing.T) (program, dir string) {
	t.Helper()
	dir = t.TempDir()
	program = filepath.Join(dir, "sendmail")
	script := "#!/bin/sh\nd=" + dir + "\n[ -s $d/exit ] && { read c <$d/exit; echo 'no such\033 user' >&2; exit $c; }\nn=$(ls $d/mail* 2>/dev/null | wc -l)\ncat >$d/.new; echo \"$@\" >$d/args; mv $d/.new $d/mail$n\n"
	if err := os.WriteFile(program, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return program, dir
}

func mails(t *testing.T, dir string) (out []*mail.Message) {
	t.Helper()
	list, _ := filepath.Glob(filepath.Join(dir, "mail*"))
	for _, path := range list {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			if len(line) > 79 || strings.ContainsFunc(line, func(r rune) bool { return r > '~' || r < ' ' && r != '\n' && r != '\t' }) {
				t.Fatalf("no line of a mail: %q", line)
			}
		}
		m, err := mail.ReadMessage(strings.NewReader(string(b)))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, m)
	}
	return out
}

// TestMailDigest: what comes within the time of gathering is one mail; names
// add no header and no recipient.
func TestMailDigest(t *testing.T) {
	program, dir := fakeSendmail(t)
	place, _ := testPlace(t)
	f := open(t, place, Config{Kind: Mail, Sendmail: program, To: []string{"root", "ops@example.org"}, From: "portreeve@db-01.example.org", Digest: 400 * time.Millisecond})
	for i := range 5 {
		if err := f.Send(t.Context(), hostileNotice(fmt.Sprint("n", i, hostile))); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the mail", func() bool { return f.Status()[0].Sent == 5 })
	list := mails(t, dir)
	if len(list) != 1 {
		t.Fatalf("%d mails", len(list))
	}
	h := list[0].Header
	to, err := h.AddressList("Cc")
	if err == nil || h.Get("Bcc") != "" || strings.Join(strings.Fields(h.Get("To")), " ") != "root, ops@example.org" {
		t.Fatal(to, h)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(h.Get("Subject"))
	if err != nil || !strings.HasPrefix(subject, "db-01: high: tcp/0.0.0.0:5432 opened by evil") || !strings.HasSuffix(subject, "(and 4 more)") || len(h) != 9 {
		t.Fatalf("%q %v %v", subject, err, h)
	}
	if _, err := mail.ParseDate(h.Get("Date")); err != nil || strings.ContainsAny(h.Get("Message-ID"), " \"()") {
		t.Fatal(err, h)
	}
	body, err := io.ReadAll(quotedprintable.NewReader(list[0].Body))
	if err != nil || strings.Count(string(body), "opened by evil") != 5 || strings.ContainsAny(string(body), "\x1b\u202e\x00") || !strings.Contains(string(body), "because: the firewall lets in") {
		t.Fatalf("%v %s", err, body)
	}
	if args, _ := os.ReadFile(filepath.Join(dir, "args")); string(args) != "-t -i -f portreeve@db-01.example.org\n" {
		t.Fatalf("%q", args)
	}
}

// TestMailClose: what is still gathered goes at the end.
func TestMailClose(t *testing.T) {
	program, dir := fakeSendmail(t)
	place, _ := testPlace(t)
	f := open(t, place, Config{Kind: Mail, Sendmail: program, To: []string{"root"}})
	send(t, f, 0, 3)
	if err := f.Close(t.Context()); err != nil || len(mails(t, dir)) != 1 {
		t.Fatal(err, len(mails(t, dir)))
	}
}

func TestMailRefused(t *testing.T) {
	program, dir := fakeSendmail(t)
	for code, want := range map[string]string{"75": "waits", "67": "parked"} {
		if err := os.WriteFile(filepath.Join(dir, "exit"), []byte(code), 0o600); err != nil {
			t.Fatal(err)
		}
		place, said := testPlace(t)
		f := open(t, place, Config{Kind: Mail, Sendmail: program, To: []string{"root"}, Digest: time.Millisecond})
		send(t, f, 0, 1)
		eventually(t, want, func() bool {
			st := f.Status()[0]
			return map[string]bool{"waits": st.Failures > 0 && st.Spooled == 1, "parked": st.Parked == 1 && st.Spooled == 0}[want]
		})
		if text := strings.Join(said.all(), "\n"); !strings.Contains(text, "no such") || strings.Contains(text, "\x1b") {
			t.Fatalf("%q", text)
		}
	}
	place, said := testPlace(t)
	f := open(t, place, Config{Kind: Mail, Sendmail: "/nonexistent/sendmail", To: []string{"root"}, Digest: time.Millisecond})
	send(t, f, 0, 1)
	eventually(t, "it says so", func() bool { return strings.Contains(strings.Join(said.all(), "\n"), "no such file") })
}
