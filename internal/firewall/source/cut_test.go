package source

import (
	"errors"
	"strings"
	"testing"
)

// A document that was cut is named by what it most looks like, with the place
// where it ends.
func TestCutDocumentsAreNamed(t *testing.T) {
	for _, c := range []struct{ format, text string }{
		{"nftables-json", `{"nftables": [`},
		{"nftables-json", "{\"nftables\": [{\"table\": {\"family\": \"inet\", \"name\": \"f\"}},\n {\"rule\": {\"fam"},
		{"nftables-json", `{"nftables": [{"rule": {"comment": "NetworkPolicy`},
		{"aws", `{"SecurityGroups": [{"GroupId": "sg-1", "IpPermi`},
		{"azure", `[{"name": "n", "properties": {"securityRules": [{"name": "a", "prope`},
		{"gcp", `[{"name": "allow", "network": "https://www.googleapis.com/compute/v1/projects/x", "allowed": [{`},
		{"kubernetes", `{"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "spec": {`},
	} {
		_, err := Read(strings.NewReader(c.text), "x", Auto)
		if err == nil || !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		line := "line 1, column"
		if strings.Contains(c.text, "\n") {
			line = "line 2, column"
		}
		if said := err.Error(); !strings.Contains(said, "as "+c.format+":") || !strings.Contains(said, line) || !strings.Contains(said, "ends in the middle") {
			t.Errorf("%s: %v", c.text, err)
		}
	}
}
