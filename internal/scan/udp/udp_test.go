package udp

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"
)

// The embedded table is whole and its requests fit one packet.
func TestPayloadTable(t *testing.T) {
	requests, err := payloads(payloadTable)
	if err != nil {
		t.Fatal(err)
	}
	for _, port := range []uint16{53, 69, 111, 123, 137, 161, 443, 500, 1900, 5060, 5353} {
		if requests[port] == "" {
			t.Errorf("no request for port %d", port)
		}
	}
	for port, request := range requests {
		if len(request) > 1232 {
			t.Errorf("port %d: %d bytes", port, len(request))
		}
	}
	for _, port := range []uint16{67, 68, 514, 546, 547} {
		if requests[port] != "" {
			t.Errorf("port %d should get an empty datagram", port)
		}
	}
}

func TestPayloadTableRefusesNonsense(t *testing.T) {
	for _, line := range []string{"x", "x 1", `x 1 "`, `x 70000 "a"`, `x a "a"`, "x 1 \"a\"\ny 1 \"b\"", `x 1 "\xzz"`} {
		if _, err := payloads(line); !errors.Is(err, errTable) {
			t.Errorf("%q: %v", line, err)
		}
	}
}

// docs/scan.md names every port that gets a request.
func TestDocsNameEveryRequest(t *testing.T) {
	doc, err := os.ReadFile("../../../docs/scan.md")
	if err != nil {
		t.Fatal(err)
	}
	requests, err := payloads(payloadTable)
	if err != nil {
		t.Fatal(err)
	}
	for port := range requests {
		if !strings.Contains(string(doc), "| "+strconv.Itoa(int(port))+" ") {
			t.Errorf("docs/scan.md does not name port %d", port)
		}
	}
}

func FuzzPayloads(f *testing.F) {
	f.Add(payloadTable)
	f.Add("a 1,2 \"\\x00\" \"b\"")
	f.Fuzz(func(t *testing.T, table string) {
		requests, err := payloads(table)
		if err != nil {
			return
		}
		for port, request := range requests {
			if request == "" {
				t.Errorf("port %d has no bytes", port)
			}
		}
	})
}
