package sink

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestOTLP holds a request against the specification's JSON form: field names
// in lowerCamelCase, 64-bit numbers as text.
func TestOTLP(t *testing.T) {
	got := make(chan map[string]any, 10)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var doc map[string]any
		if json.NewDecoder(r.Body).Decode(&doc) == nil && r.Header.Get("Content-Type") == "application/json" {
			got <- doc
		}
		_, _ = w.Write([]byte(`{"partialSuccess":{"rejectedLogRecords":"1","errorMessage":"too old"}}`))
	}))
	defer srv.Close()
	place, said := testPlace(t)
	f := open(t, place, Config{Kind: OTLP, URL: srv.URL + "/v1/logs"})
	if err := f.Send(t.Context(), notice("n1")); err != nil {
		t.Fatal(err)
	}
	doc := <-got
	at := func(v any, path ...any) any {
		for _, p := range path {
			switch p := p.(type) {
			case string:
				v = v.(map[string]any)[p]
			case int:
				v = v.([]any)[p]
			}
		}
		return v
	}
	r := at(doc, "resourceLogs", 0, "scopeLogs", 0, "logRecords", 0)
	if at(r, "timeUnixNano") != "1772368201123456789" || at(r, "severityNumber") != 17.0 || at(r, "severityText") != "high" || at(r, "eventName") != "portreeve.listener.opened" ||
		!strings.HasPrefix(at(r, "body", "stringValue").(string), "high: tcp/0.0.0.0:5432") || at(r, "attributes", 0, "key") != "portreeve.id" || at(r, "attributes", 0, "value", "stringValue") != "n1" ||
		at(doc, "resourceLogs", 0, "resource", "attributes", 1, "value", "stringValue") != "db-01" {
		t.Fatalf("%v", doc)
	}
	eventually(t, "the rejected one is parked", func() bool { return f.Status()[0].Parked == 1 })
	if text := strings.Join(said.all(), "\n"); !strings.Contains(text, "too old") {
		t.Fatal(text)
	}
}
