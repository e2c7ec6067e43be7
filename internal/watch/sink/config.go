package sink

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// Kinds of sinks.
const (
	Stderr   = "stderr"   // a line of text for people
	JSONL    = "jsonl"    // JSON Lines into a file or to standard output
	Syslog   = "syslog"   // RFC 5424
	Journald = "journald" // systemd's journal, its own protocol
	Webhook  = "webhook"  // HTTP POST of JSON
	Mail     = "mail"     // through sendmail
	OTLP     = "otlp"     // OpenTelemetry logs, OTLP/HTTP with JSON
)

// Kinds lists the kinds of sinks.
func Kinds() []string {
	return []string{Stderr, JSONL, Syslog, Journald, Webhook, Mail, OTLP}
}

// Config is one entry of the watch's list `sinks:`. Each kind has keys of its
// own; Validate refuses those of another kind.
type Config struct {
	Kind string `yaml:"kind"`
	// Name tells sinks of one kind apart in messages, metrics and spools;
	// empty: the kind.
	Name string `yaml:"name"`
	// MinSeverity: notices whose finding is less grave are not sent, nor are
	// changes without a finding when it is low or more. Empty: all of them.
	MinSeverity string `yaml:"min-severity"`
	// Queue is how many notices wait in memory; 0: 4096.
	Queue int `yaml:"queue"`

	// Path is a file of JSON Lines; "-" is standard output. Kind jsonl.
	Path string `yaml:"path"`

	// Address is where syslog goes: unix:/dev/log (the default), udp://h:514,
	// tcp://h:601, tls://h:6514. For journald the socket's path.
	Address string `yaml:"address"`
	// Facility of RFC 5424 by name; empty: daemon.
	Facility string `yaml:"facility"`
	// MaxSize bounds one syslog message in bytes (480…65507); 0: 2048 for
	// udp, 8192 else.
	MaxSize int `yaml:"max-size"`
	// Enterprise is the private enterprise number in the name of the
	// structured data; 0: 32473, the one for examples (RFC 5612).
	Enterprise uint32 `yaml:"enterprise"`

	// URL takes the POST. Kinds webhook and otlp.
	URL string `yaml:"url"`
	// Headers are added as they are; HeaderFiles' values are read from files
	// (secrets), at every delivery.
	Headers     map[string]string `yaml:"headers"`
	HeaderFiles map[string]string `yaml:"header-files"`
	// CA is a PEM file with the only authorities that are trusted; Cert and
	// Key are this client's. Webhook, otlp and syslog over TLS.
	CA   string `yaml:"ca"`
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
	// Proxy is an HTTP proxy's URL; empty: none (the environment's is not
	// used).
	Proxy string `yaml:"proxy"`
	// Timeout bounds one delivery as a whole; 0: 10 s.
	Timeout time.Duration `yaml:"timeout"`
	// SpoolSize bounds what waits on disk, in bytes (64MiB); 0: 64 MiB.
	// Kinds webhook, mail and otlp.
	SpoolSize Size `yaml:"spool-size"`

	// To, From, Sendmail (the program; empty: /usr/sbin/sendmail) and Digest
	// (how long notices are gathered into one mail; 0: 1m). Kind mail.
	To       []string      `yaml:"to"`
	From     string        `yaml:"from"`
	Sendmail string        `yaml:"sendmail"`
	Digest   time.Duration `yaml:"digest"`
}

// ConfigError is a wrong value. Key is as it is written in the file.
type ConfigError struct {
	Key string
	Why string
}

func (e *ConfigError) Error() string { return e.Key + ": " + e.Why }

func wrong(key, format string, args ...any) error {
	return &ConfigError{Key: key, Why: fmt.Sprintf(format, args...)}
}

// Label is the sink's name, by default its kind.
func (c *Config) Label() string {
	if c.Name != "" {
		return c.Name
	}
	return c.Kind
}

// ValidateAll checks a whole list; the error is a *ConfigError whose key has
// the place in the list: sinks[1].url.
func ValidateAll(list []Config) error {
	seen := map[string]int{}
	for i := range list {
		if err := list[i].Validate(); err != nil {
			bad := err.(*ConfigError) // Validate returns no other
			return wrong(fmt.Sprintf("sinks[%d].%s", i, bad.Key), "%s", bad.Why)
		}
		if at, dup := seen[list[i].Label()]; dup {
			return wrong(fmt.Sprintf("sinks[%d].name", i), "sinks[%d] is called %q too; give each a name of its own", at, list[i].Label())
		}
		seen[list[i].Label()] = i
	}
	return nil
}

// Validate checks one sink by its own; the error is a *ConfigError.
func (c *Config) Validate() error {
	if !slices.Contains(Kinds(), c.Kind) {
		return wrong("kind", "%q is none of %s", c.Kind, strings.Join(Kinds(), ", "))
	}
	for _, k := range c.given() {
		if !slices.Contains(k.kinds, c.Kind) {
			return wrong(k.key, "a %s sink has no such key; it is for %s", c.Kind, strings.Join(k.kinds, ", "))
		}
	}
	for _, check := range []func() error{c.checkCommon, c.checkTLSFiles, c.checkKind} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

type givenKey struct {
	key   string
	kinds []string
}

// given lists the keys of one kind or another that have a value.
func (c *Config) given() (out []givenKey) {
	add := func(is bool, key string, kinds ...string) {
		if is {
			out = append(out, givenKey{key, kinds})
		}
	}
	add(c.Path != "", "path", JSONL)
	add(c.Address != "", "address", Syslog, Journald)
	add(c.Facility != "", "facility", Syslog)
	add(c.MaxSize != 0, "max-size", Syslog)
	add(c.Enterprise != 0, "enterprise", Syslog)
	add(c.URL != "", "url", Webhook, OTLP)
	add(len(c.Headers) > 0, "headers", Webhook, OTLP)
	add(len(c.HeaderFiles) > 0, "header-files", Webhook, OTLP)
	add(c.CA != "", "ca", Webhook, OTLP, Syslog)
	add(c.Cert != "", "cert", Webhook, OTLP, Syslog)
	add(c.Key != "", "key", Webhook, OTLP, Syslog)
	add(c.Proxy != "", "proxy", Webhook, OTLP)
	add(c.Timeout != 0, "timeout", Webhook, OTLP, Syslog, Mail)
	add(c.SpoolSize != 0, "spool-size", Webhook, OTLP, Mail)
	add(len(c.To) > 0, "to", Mail)
	add(c.From != "", "from", Mail)
	add(c.Sendmail != "", "sendmail", Mail)
	add(c.Digest != 0, "digest", Mail)
	return out
}

func (c *Config) checkCommon() error {
	switch {
	case c.MinSeverity != "" && exposure.Severity(c.MinSeverity).Rank() < 0:
		return wrong("min-severity", "%q is none of info, low, medium, high", c.MinSeverity)
	case c.Queue < 0 || c.Queue > 1<<20:
		return wrong("queue", "%d is not within 1…%d", c.Queue, 1<<20)
	case c.Timeout < 0 || c.Timeout > time.Hour:
		return wrong("timeout", "%s is not within 0…1h", c.Timeout)
	case c.SpoolSize < 0 || c.SpoolSize != 0 && c.SpoolSize < minSpool:
		return wrong("spool-size", "%d bytes are fewer than %d", c.SpoolSize, minSpool)
	case !plainName(c.Name):
		return wrong("name", "%q: letters, digits, dot, dash and underscore only, at most 64, no dot first", c.Name)
	}
	return nil
}

// minSpool holds some notices of the largest size.
const minSpool = 256 << 10

// plainName: it becomes a folder's name and a label.
func plainName(s string) bool {
	if len(s) > 64 || strings.HasPrefix(s, ".") {
		return false
	}
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == ""
}

func (c *Config) checkTLSFiles() error {
	for _, f := range []struct{ key, path string }{{"ca", c.CA}, {"cert", c.Cert}, {"key", c.Key}} {
		if f.path != "" && !filepath.IsAbs(f.path) {
			return wrong(f.key, "%q: write the whole path, from /", f.path)
		}
	}
	if (c.Cert == "") != (c.Key == "") {
		return wrong("cert", "cert and key belong together")
	}
	return nil
}

func (c *Config) checkKind() error {
	switch c.Kind {
	case JSONL:
		if c.Path == "" || c.Path != "-" && !filepath.IsAbs(c.Path) {
			return wrong("path", "%q: write the whole path of a file, from /, or - for standard output", c.Path)
		}
	case Syslog:
		return c.checkSyslog()
	case Journald:
		if c.Address != "" && !filepath.IsAbs(c.Address) {
			return wrong("address", "%q: write the socket's whole path, from /", c.Address)
		}
	case Webhook, OTLP:
		return c.checkHTTP()
	case Mail:
		return c.checkMail()
	}
	return nil
}

func (c *Config) checkSyslog() error {
	if _, err := c.syslogTarget(); err != nil {
		return err
	}
	if _, ok := facilityNumber(c.Facility); !ok {
		return wrong("facility", "%q is no facility of RFC 5424 (%s)", c.Facility, strings.Join(facilities(), ", "))
	}
	if c.MaxSize != 0 && (c.MaxSize < 480 || c.MaxSize > 65507) {
		return wrong("max-size", "%d is not within 480…65507", c.MaxSize)
	}
	return nil
}

// target is where syslog goes: network unix, udp, tcp or tls.
type target struct{ network, addr, host string }

func (c *Config) syslogTarget() (target, error) {
	text := c.Address
	if text == "" {
		text = "unix:/dev/log"
	}
	if path, ok := strings.CutPrefix(text, "unix:"); ok {
		path = strings.TrimPrefix(path, "//")
		if !filepath.IsAbs(path) {
			return target{}, wrong("address", "%q: write unix:/dev/log", text)
		}
		return target{network: "unix", addr: path}, c.noTLS(text)
	}
	network, addr, ok := strings.Cut(text, "://")
	port, known := map[string]string{"udp": "514", "tcp": "601", "tls": "6514"}[network]
	if !ok || !known {
		return target{}, wrong("address", "%q: write unix:/dev/log, udp://host:514, tcp://host:601 or tls://host:6514", text)
	}
	host, given, err := splitPort(addr)
	if err != nil {
		return target{}, wrong("address", "%q: %v", text, err)
	}
	if given == "0" {
		return target{}, wrong("address", "%q: 0 is no port", text)
	}
	if given != "" {
		port = given
	}
	if network != "tls" {
		if err := c.noTLS(text); err != nil {
			return target{}, err
		}
	}
	return target{network: network, addr: net.JoinHostPort(host, port), host: host}, nil
}

func (c *Config) noTLS(address string) error {
	if c.CA != "" || c.Cert != "" {
		return wrong("ca", "%q is not encrypted; write tls://", address)
	}
	return nil
}

// splitPort takes host, host:port, [v6]:port and a bare v6 address.
func splitPort(s string) (host, port string, err error) {
	if ip, bad := netip.ParseAddr(strings.Trim(s, "[]")); bad == nil {
		return ip.String(), "", nil
	}
	if !strings.Contains(s, ":") {
		host = s
	} else if host, port, err = net.SplitHostPort(s); err != nil {
		return "", "", err
	}
	if host == "" || strings.ContainsAny(host, "/ \t") {
		return "", "", fmt.Errorf("there is no host in %q", s)
	}
	if n, bad := strconv.ParseUint(port, 10, 16); port != "" && (bad != nil || n == 0 && port != "0") {
		return "", "", fmt.Errorf("%q is no port", port)
	}
	return host, port, nil
}

func (c *Config) checkHTTP() error {
	u, err := url.Parse(c.URL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return wrong("url", "%q is no http:// or https:// URL", c.URL)
	case u.User != nil:
		return wrong("url", "it has a password in it, which messages would show; put Authorization into header-files")
	case u.Scheme == "http" && (c.CA != "" || c.Cert != ""):
		return wrong("ca", "%q is not encrypted; write https://", c.URL)
	}
	if p, err := url.Parse(c.Proxy); c.Proxy != "" && (err != nil || p.Host == "" || p.Scheme != "http" && p.Scheme != "https") {
		return wrong("proxy", "%q is no http:// or https:// URL", c.Proxy)
	}
	return c.checkHeaders()
}
