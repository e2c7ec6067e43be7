package sink

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// otlp sends notices as OpenTelemetry log records, OTLP/HTTP with JSON
// (opentelemetry.io/docs/specs/otlp; field names of logs.proto in JSON form).
type otlp struct {
	post     *poster
	resource otlpResource
	version  string
}

type otlpValue struct {
	String string `json:"stringValue"`
}

type otlpAttribute struct {
	Key   string    `json:"key"`
	Value otlpValue `json:"value"`
}

type otlpResource struct {
	Attributes []otlpAttribute `json:"attributes"`
}

// otlpRecord is a LogRecord; 64-bit numbers are text in protobuf's JSON.
type otlpRecord struct {
	Time         string          `json:"timeUnixNano"`
	Observed     string          `json:"observedTimeUnixNano"`
	Severity     int             `json:"severityNumber"`
	SeverityText string          `json:"severityText"`
	Event        string          `json:"eventName"`
	Body         otlpValue       `json:"body"`
	Attributes   []otlpAttribute `json:"attributes"`
}

const otlpBatch = 100

func newOTLP(c *Config, place *Place) (*otlp, error) {
	p, err := newPoster(c, place)
	attributes := []otlpAttribute{{"service.name", otlpValue{syslogApp}}, {"host.name", otlpValue{place.Host}}}
	return &otlp{post: p, resource: otlpResource{attributes}, version: place.Version}, err
}

// otlpSeverity maps to SeverityNumber: INFO 9, INFO2 10, WARN 13, ERROR 17.
func otlpSeverity(s exposure.Severity) int {
	switch s {
	case exposure.High:
		return 17
	case exposure.Medium:
		return 13
	case exposure.Low:
		return 10
	}
	return 9
}

func (o *otlp) encode(n *Notice) ([]byte, error) {
	at := strconv.FormatInt(n.At.UnixNano(), 10)
	r := otlpRecord{
		Time: at, Observed: at, Severity: otlpSeverity(n.Severity()), SeverityText: string(n.Severity()),
		Event: "portreeve.listener." + string(n.Kind), Body: otlpValue{Text(n)},
	}
	for _, kv := range fields(n) {
		r.Attributes = append(r.Attributes, otlpAttribute{"portreeve." + kv[0], otlpValue{strings.ToValidUTF8(kv[1], "\ufffd")}})
	}
	return json.Marshal(r)
}

func (o *otlp) batch() (int, time.Duration) { return otlpBatch, 0 }

func (o *otlp) deliver(ctx context.Context, list []record, lost uint64) outcome {
	extra := map[string]string{"Idempotency-Key": list[0].ID + "." + list[len(list)-1].ID}
	if lost > 0 {
		extra["Portreeve-Dropped"] = strconv.FormatUint(lost, 10)
	}
	body, err := o.request(list)
	if err != nil {
		return outcome{err: err, forGood: true}
	}
	reply, out := o.post.send(ctx, body, extra)
	if out.err == nil {
		return o.partial(reply)
	}
	return out
}

// request is an ExportLogsServiceRequest.
func (o *otlp) request(list []record) ([]byte, error) {
	records := make([]json.RawMessage, len(list))
	for i := range list {
		records[i] = list[i].Body
	}
	type scope struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	}
	type scopeLogs struct {
		Scope   scope             `json:"scope"`
		Records []json.RawMessage `json:"logRecords"`
	}
	type resourceLogs struct {
		Resource otlpResource `json:"resource"`
		Scopes   []scopeLogs  `json:"scopeLogs"`
	}
	b, err := json.Marshal(map[string][]resourceLogs{"resourceLogs": {{o.resource, []scopeLogs{{scope{syslogApp + "/watch", o.version}, records}}}}})
	if err != nil {
		return nil, fmt.Errorf("write the OTLP request: %w", err)
	}
	return b, nil
}

// partial: the receiver took the request and some of its records not; sending
// them again is forbidden by the specification.
func (o *otlp) partial(reply []byte) outcome {
	var answer struct {
		Partial struct {
			Rejected json.RawMessage `json:"rejectedLogRecords"`
			Message  string          `json:"errorMessage"`
		} `json:"partialSuccess"`
	}
	if json.Unmarshal(reply, &answer) != nil {
		return outcome{}
	}
	n, _ := strconv.ParseInt(strings.Trim(string(answer.Partial.Rejected), `"`), 10, 64)
	if n <= 0 {
		return outcome{}
	}
	return outcome{err: fmt.Errorf("%d log records of a request were rejected%s", n, said([]byte(answer.Partial.Message))), forGood: true}
}
