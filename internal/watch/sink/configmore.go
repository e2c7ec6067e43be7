package sink

import (
	"net/textproto"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// Size is a number of bytes, written 1048576, 512KiB, 64MiB or 1GiB.
type Size int64

// UnmarshalYAML reads the number with its unit.
func (s *Size) UnmarshalYAML(n ast.Node) error {
	text := strings.Trim(n.String(), `"' `)
	digits := strings.TrimRight(text, "KMGiB")
	shift, known := map[string]uint{"": 0, "B": 0, "KiB": 10, "MiB": 20, "GiB": 30}[text[len(digits):]]
	v, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
	if err != nil || !known || v < 0 || v > (1<<40)>>shift {
		at := n.GetToken().Position
		return wrong("spool-size", "[%d:%d] %q is no size; write it as 64MiB", at.Line, at.Column, text)
	}
	*s = Size(v << shift)
	return nil
}

func (c *Config) checkHeaders() error {
	for name, value := range c.Headers {
		if err := checkHeader("headers", name); err != nil {
			return err
		}
		if !headerValue(value) {
			return wrong("headers", "the value of %q has control characters", name)
		}
	}
	for name, path := range c.HeaderFiles {
		if err := checkHeader("header-files", name); err != nil {
			return err
		}
		if !filepath.IsAbs(path) {
			return wrong("header-files", "%s: %q: write the whole path, from /", name, path)
		}
		if _, dup := c.Headers[name]; dup {
			return wrong("header-files", "%q is in headers too", name)
		}
	}
	return nil
}

// checkHeader refuses what the request itself sets.
func checkHeader(key, name string) error {
	own := []string{"Host", "Content-Length", "Content-Type", "Transfer-Encoding", "Connection", "Idempotency-Key", "Expect", "Trailer", "Upgrade"}
	switch {
	case !headerName(name):
		return wrong(key, "%q is no name of a header", name)
	case slices.Contains(own, textproto.CanonicalMIMEHeaderKey(name)):
		return wrong(key, "%q is set by portreeve itself", name)
	}
	return nil
}

func (c *Config) checkMail() error {
	if len(c.To) == 0 {
		return wrong("to", "say who gets the mail")
	}
	for _, a := range c.To {
		if err := checkMailbox("to", a); err != nil {
			return err
		}
	}
	if c.From != "" {
		if err := checkMailbox("from", c.From); err != nil {
			return err
		}
	}
	if c.Sendmail != "" && !filepath.IsAbs(c.Sendmail) {
		return wrong("sendmail", "%q: write the whole path, from /", c.Sendmail)
	}
	if c.Digest < 0 || c.Digest > 24*time.Hour {
		return wrong("digest", "%s is not within 0…24h", c.Digest)
	}
	return nil
}

// checkMailbox takes a plain address or a local name (root): what could add a
// header, an option of sendmail or a second recipient is refused.
func checkMailbox(key, a string) error {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.!#$%&'*+/=?^_`{|}~-@[]:"
	switch {
	case a == "" || strings.Trim(a, plain) != "":
		return wrong(key, "%q is no plain address (name@host); no display names", a)
	case a[0] == '-' || a[0] == '@' || a[len(a)-1] == '@' || strings.Count(a, "@") > 1:
		return wrong(key, "%q is no plain address (name@host)", a)
	case strings.ContainsAny(a, ":") && !strings.Contains(a, "@["):
		return wrong(key, "%q is no plain address (name@host)", a)
	case len(a) > 254:
		return wrong(key, "%q is longer than 254 (RFC 5321)", a)
	}
	return nil
}

// headerName reports a token of RFC 9110, section 5.6.2.
func headerName(s string) bool {
	return s != "" && strings.Trim(s, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

// headerValue reports text that cannot end its line.
func headerValue(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}
