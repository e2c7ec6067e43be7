package inventory

import (
	"testing"
	"unicode/utf8"
)

func TestTableIsRead(t *testing.T) {
	got, err := readTable(signatureText)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.server) < 15 || len(got.client) < 15 || !got.ports.has(443) {
		t.Errorf("%d, %d", len(got.server), len(got.client))
	}
}

// sane checks what holds for every service.
func sane(t *testing.T, s Service) {
	t.Helper()
	for _, text := range []string{s.Service, s.Product, s.Version, s.Detail} {
		if !utf8.ValidString(text) || len(text) > maxText {
			t.Errorf("%q", text)
		}
	}
	if s.First > s.Last || s.Port == 0 && s.Service != "" || s.Service == "" && s.Product != "" {
		t.Errorf("%+v", s)
	}
}
