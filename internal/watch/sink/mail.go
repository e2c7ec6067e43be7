package sink

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"os/exec"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/report"
)

// mailer gathers notices into one mail and hands it to sendmail.
type mailer struct {
	to       []string
	from     string
	program  string
	digest   time.Duration
	timeout  time.Duration
	host     string
	now      func() time.Time
	mostInIt int
}

const (
	sendmailPath   = "/usr/sbin/sendmail"
	defaultDigest  = time.Minute
	mailTimeout    = time.Minute
	noticesInAMail = 200
)

func newMail(c *Config, place *Place) (*mailer, error) {
	m := &mailer{
		to: c.To, from: c.From, program: c.Sendmail, digest: c.Digest, timeout: c.Timeout,
		host: place.Host, now: place.Now, mostInIt: noticesInAMail,
	}
	if m.program == "" {
		m.program = sendmailPath
	}
	if m.digest == 0 {
		m.digest = defaultDigest
	}
	if m.timeout == 0 {
		m.timeout = mailTimeout
	}
	return m, nil
}

// mailPart is one notice as it waits for its mail.
type mailPart struct {
	At       time.Time         `json:"at"`
	Line     string            `json:"line"`
	Severity exposure.Severity `json:"severity"`
	More     []string          `json:"more"`
}

func (m *mailer) encode(n *Notice) ([]byte, error) {
	p := mailPart{At: n.At.UTC(), Line: Text(n), Severity: n.Severity()}
	add := func(label string, list ...string) {
		for _, s := range list {
			if s != "" {
				p.More = append(p.More, label+": "+report.Escape(s))
			}
		}
	}
	if f := n.Finding; f != nil {
		add("because", f.Because...)
		add("safe because", f.SafeBecause...)
		for _, fix := range f.Fix {
			add("fix", fix.What)
			add("command", fix.Command)
		}
	}
	if s := n.socket(); len(s.Processes) > 0 {
		add("program", s.Processes[0].Exe)
		add("command line", s.Processes[0].Cmdline)
	}
	return json.Marshal(p)
}

func (m *mailer) batch() (int, time.Duration) { return m.mostInIt, m.digest }

func (m *mailer) deliver(ctx context.Context, list []record, lost uint64) outcome {
	mail, err := m.compose(list, lost)
	if err != nil {
		return outcome{err: err, forGood: true}
	}
	ctx, cancel := context.WithTimeout(ctx, m.timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, m.program, m.args()...)
	cmd.Stdin = bytes.NewReader(mail)
	cmd.WaitDelay = time.Second
	var told bytes.Buffer
	cmd.Stdout, cmd.Stderr = &limited{b: &told}, &limited{b: &told}
	return m.judge(ctx, cmd.Run(), told.Bytes())
}

// args: -t takes the recipients from the header, -i lets a line with a dot
// alone be text, -f is the envelope's sender.
func (m *mailer) args() []string {
	args := []string{"-t", "-i"}
	if m.from != "" {
		args = append(args, "-f", m.from)
	}
	return args
}

// limited keeps the beginning of what a program says.
type limited struct{ b *bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	l.b.Write(p[:min(len(p), max(0, 4096-l.b.Len()))])
	return len(p), nil
}

// Exit codes of sendmail (sysexits.h) after which trying again is in vain.
func refusedForGood(code int) bool {
	switch code {
	case 64, 65, 67, 68: // EX_USAGE, EX_DATAERR, EX_NOUSER, EX_NOHOST
		return true
	}
	return false
}

func (m *mailer) judge(ctx context.Context, err error, told []byte) outcome {
	if err == nil {
		return outcome{}
	}
	if ctx.Err() != nil {
		return outcome{err: fmt.Errorf("send mail with %s: not done within %s", m.program, m.timeout)}
	}
	var exit *exec.ExitError
	forGood := errors.As(err, &exit) && refusedForGood(exit.ExitCode())
	return outcome{err: fmt.Errorf("send mail with %s: %w%s", m.program, err, said(told)), forGood: forGood}
}

// compose writes the mail (RFC 5322, MIME). The Message-ID is made of the
// first and last notice: the same mail again has the same.
func (m *mailer) compose(list []record, lost uint64) ([]byte, error) {
	parts := make([]mailPart, len(list))
	for i := range list {
		if err := json.Unmarshal(list[i].Body, &parts[i]); err != nil {
			return nil, fmt.Errorf("read notice %s from the spool: %w", list[i].ID, err)
		}
	}
	var b bytes.Buffer
	head := func(name, value string) { b.WriteString(name + ": " + value + "\n") }
	if m.from != "" {
		head("From", m.from)
	}
	head("To", strings.Join(m.to, ",\n "))
	head("Subject", fold(mime.QEncoding.Encode("utf-8", report.Escape(m.subject(parts)))))
	head("Date", m.now().Format(time.RFC1123Z))
	head("Message-ID", messageID(list[0].ID, list[len(list)-1].ID, m.host))
	head("Auto-Submitted", "auto-generated") // RFC 3834: no answers from robots
	head("MIME-Version", "1.0")
	head("Content-Type", "text/plain; charset=utf-8")
	head("Content-Transfer-Encoding", "quoted-printable")
	b.WriteByte('\n')
	q := quotedprintable.NewWriter(&b)
	_, err := q.Write([]byte(m.body(parts, lost)))
	if err == nil {
		err = q.Close()
	}
	// Programs on Unix take lines as the system writes them.
	return bytes.ReplaceAll(b.Bytes(), []byte("\r\n"), []byte("\n")), err
}

func (m *mailer) subject(parts []mailPart) string {
	worst := &parts[0]
	for i := range parts {
		if parts[i].Severity.Rank() > worst.Severity.Rank() {
			worst = &parts[i]
		}
	}
	text := m.host + ": " + cutText(worst.Line, 120)
	if len(parts) > 1 {
		text += fmt.Sprintf(" (and %d more)", len(parts)-1)
	}
	return text
}

func (m *mailer) body(parts []mailPart, lost uint64) string {
	var b strings.Builder
	for i := range parts {
		fmt.Fprintf(&b, "%s  %s\n", parts[i].At.Format(time.RFC3339), parts[i].Line)
		for _, more := range parts[i].More {
			b.WriteString("    " + more + "\n")
		}
		b.WriteByte('\n')
	}
	if lost > 0 {
		fmt.Fprintf(&b, "%d notices before these were dropped: the spool was full.\n\n", lost)
	}
	fmt.Fprintf(&b, "-- \nportreeve watch on %s\n", report.Escape(m.host))
	return b.String()
}

// fold breaks a header between its words: no line over 78 (RFC 5322, 2.1.1).
func fold(s string) string {
	var b strings.Builder
	line := len("Message-ID: ")
	for i, word := range strings.Split(s, " ") {
		switch {
		case i == 0:
		case line+1+len(word) > 76:
			b.WriteString("\n ")
			line = 0
		default:
			b.WriteByte(' ')
		}
		b.WriteString(word)
		line += 1 + len(word)
	}
	return b.String()
}

// messageID is the same for the same notices, and has no text from outside.
func messageID(first, last, host string) string {
	sum := sha256.Sum256([]byte(first + "\x00" + last + "\x00" + host))
	return "<" + hex.EncodeToString(sum[:12]) + "@" + domain(host) + ">"
}

// domain keeps what a host's name may have.
func domain(s string) string {
	s = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' {
			return r
		}
		return '-'
	}, s)
	s = strings.Trim(strings.ReplaceAll(s[:min(len(s), 40)], "..", ".-"), ".")
	if s == "" {
		return "localhost"
	}
	return s
}
