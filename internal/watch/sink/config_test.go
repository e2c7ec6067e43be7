package sink

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

func parse(text string) ([]Config, error) {
	var doc struct {
		Sinks []Config `yaml:"sinks"`
	}
	if err := yaml.UnmarshalWithOptions([]byte(text), &doc, yaml.Strict()); err != nil {
		return nil, err
	}
	return doc.Sinks, ValidateAll(doc.Sinks)
}

func TestConfigGood(t *testing.T) {
	list, err := parse(`sinks:
  - kind: stderr
    min-severity: low
  - {kind: jsonl, path: /var/log/portreeve/changes.jsonl}
  - kind: syslog
  - {kind: syslog, name: central, address: "tls://logs.example.org", ca: /etc/ca.pem, facility: local3}
  - {kind: syslog, name: six, address: "udp://[2001:db8::1]:5514"}
  - kind: journald
  - kind: webhook
    url: https://hooks.example.org/portreeve
    header-files: {Authorization: /etc/portreeve/token}
    timeout: 5s
    spool-size: 16MiB
  - {kind: mail, to: [root, ops@example.org], digest: 2m}
  - {kind: otlp, url: "http://127.0.0.1:4318/v1/logs"}
`)
	if err != nil || len(list) != 9 || list[6].SpoolSize != 16<<20 || list[6].Timeout != 5*time.Second || list[7].Digest != 2*time.Minute {
		t.Fatal(err, list)
	}
	for i, want := range map[int]string{2: "/dev/log", 3: "logs.example.org:6514", 4: "[2001:db8::1]:5514"} {
		if to, err := list[i].syslogTarget(); err != nil || to.addr != want {
			t.Error(to, err)
		}
	}
}

// TestConfigBad: each error names the key.
func TestConfigBad(t *testing.T) {
	for text, key := range map[string]string{
		"{kind: pigeon}":                                              "sinks[0].kind",
		"{}":                                                          "sinks[0].kind",
		"{kind: stderr, path: /x}":                                    "sinks[0].path",
		"{kind: jsonl}":                                               "sinks[0].path",
		"{kind: jsonl, path: x.jsonl}":                                "sinks[0].path",
		"{kind: stderr, min-severity: grave}":                         "sinks[0].min-severity",
		"{kind: stderr, name: ../../etc}":                             "sinks[0].name",
		"{kind: stderr, queue: -1}":                                   "sinks[0].queue",
		"{kind: syslog, address: 'ftp://x'}":                          "sinks[0].address",
		"{kind: syslog, address: 'udp://:514'}":                       "sinks[0].address",
		"{kind: syslog, address: 'tcp://h:0'}":                        "sinks[0].address",
		"{kind: syslog, address: 'tcp://h:99999'}":                    "sinks[0].address",
		"{kind: syslog, facility: local9}":                            "sinks[0].facility",
		"{kind: syslog, max-size: 100}":                               "sinks[0].max-size",
		"{kind: syslog, ca: /x}":                                      "sinks[0].ca",
		"{kind: webhook}":                                             "sinks[0].url",
		"{kind: webhook, url: 'ftp://x/'}":                            "sinks[0].url",
		"{kind: webhook, url: 'https://u:p@x/'}":                      "sinks[0].url",
		"{kind: webhook, url: 'http://x/', ca: /x}":                   "sinks[0].ca",
		"{kind: webhook, url: 'https://x/', cert: /x}":                "sinks[0].cert",
		"{kind: webhook, url: 'https://x/', ca: x}":                   "sinks[0].ca",
		"{kind: webhook, url: 'https://x/', spool-size: 1}":           "sinks[0].spool-size",
		"{kind: webhook, url: 'https://x/', timeout: 48h}":            "sinks[0].timeout",
		"{kind: webhook, url: 'https://x/', headers: {Host: y}}":      "sinks[0].headers",
		"{kind: webhook, url: 'https://x/', headers: {\"a b\": y}}":   "sinks[0].headers",
		"{kind: webhook, url: 'https://x/', headers: {X: \"a\\nb\"}}": "sinks[0].headers",
		"{kind: webhook, url: 'https://x/', header-files: {X: y}}":    "sinks[0].header-files",
		"{kind: mail}":                                                "sinks[0].to",
		"{kind: mail, to: ['-oQ/tmp']}":                               "sinks[0].to",
		"{kind: mail, to: ['a, b']}":                                  "sinks[0].to",
		"{kind: mail, to: [\"a\\nBcc: b\"]}":                          "sinks[0].to",
		"{kind: mail, to: [a], from: 'A <a@b>'}":                      "sinks[0].from",
		"{kind: mail, to: [a], sendmail: sendmail}":                   "sinks[0].sendmail",
		"{kind: stderr}\n  - {kind: stderr}":                          "sinks[1].name",
	} {
		_, err := parse("sinks:\n  - " + text)
		var bad *ConfigError
		if !errors.As(err, &bad) || bad.Key != key || bad.Why == "" {
			t.Errorf("%s: %v, want %s", text, err, key)
		}
	}
	for _, text := range []string{"{kind: stderr, colour: red}", "{kind: webhook, url: 'https://x/', spool-size: 5 apples}"} {
		if _, err := parse("sinks:\n  - " + text); err == nil || !strings.Contains(err.Error(), "[2:") {
			t.Errorf("%s: %v names no line", text, err)
		}
	}
}

func TestSize(t *testing.T) {
	for text, want := range map[string]Size{"1048576": 1 << 20, "300KiB": 300 << 10, "64MiB": 64 << 20, "1GiB": 1 << 30, `"2MiB"`: 2 << 20} {
		list, err := parse("sinks: [{kind: webhook, url: 'https://x/', spool-size: " + text + "}]")
		if err != nil || list[0].SpoolSize != want {
			t.Errorf("%s: %v %v", text, list, err)
		}
	}
}
