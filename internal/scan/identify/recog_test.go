package identify

import (
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/portreeve/portreeve/internal/exposure"
)

// recogFolder holds the banners of the recog project, where they are.
const recogFolder = "../../../../shared/fixtures/banners/recog/xml"

// example is one banner with what it says.
type example struct {
	text             string
	product, version string // "": it does not say
}

// examples reads the banners of one file. A file's fields may be constant or
// captured, which each example then repeats as an attribute.
func examples(t *testing.T, file string) []example {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(recogFolder, file))
	if err != nil {
		t.Skipf("the shared fixtures are not here: %v", err)
	}
	var doc struct {
		Fingerprints []struct {
			Examples []struct {
				Text  string     `xml:",chardata"`
				Attrs []xml.Attr `xml:",any,attr"`
			} `xml:"example"`
			Params []struct {
				Name  string `xml:"name,attr"`
				Value string `xml:"value,attr"`
			} `xml:"param"`
		} `xml:"fingerprint"`
	}
	if err := xml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	var all []example
	for _, f := range doc.Fingerprints {
		fixed := map[string]string{}
		for _, p := range f.Params {
			fixed[p.Name] = p.Value
		}
		for _, e := range f.Examples {
			said := map[string]string{"service.product": fixed["service.product"], "service.version": fixed["service.version"]}
			encoded := false
			for _, a := range e.Attrs {
				said[a.Name.Local] = a.Value
				encoded = encoded || strings.HasPrefix(a.Name.Local, "_")
			}
			if !encoded {
				all = append(all, example{e.Text, said["service.product"], said["service.version"]})
			}
		}
	}
	return all
}

// Banners that another project collected are recognised: all by their
// protocol, most with the version that they tell.
func TestRecogBanners(t *testing.T) {
	for _, c := range []struct {
		file, service, before, after string
		probe                        string
		names, versions, products    float64 // shares that must be reached
	}{
		{"ssh_banners.xml", "ssh", "SSH-2.0-", "\r\n", "greeting", 1, 0.95, 0.85},
		{"smtp_banners.xml", "smtp", "220 ", "\r\n", "greeting", 0.95, 0.85, 0.7},
		{"ftp_banners.xml", "ftp", "220 ", "\r\n", "greeting", 0.9, 0.8, 0.6},
		{"pop_banners.xml", "pop3", "+OK ", "\r\n", "greeting", 1, 0.85, 0.75},
		{"imap_banners.xml", "imap", "* OK ", "\r\n", "greeting", 1, 0.95, 0.9},
		{"http_servers.xml", "http", "HTTP/1.1 200 OK\r\nServer: ", "\r\n\r\n", "http", 0.99, 0.9, 0.7},
		{"rtsp_servers.xml", "rtsp", "RTSP/1.0 200 OK\r\nCSeq: 1\r\nServer: ", "\r\n\r\n", "rtsp", 1, 0.95, 0.95},
		{"sip_banners.xml", "sip", "SIP/2.0 200 OK\r\nServer: ", "\r\n\r\n", "sip", 1, 0.95, 0.95},
	} {
		t.Run(c.service, func(t *testing.T) {
			var n agreement
			for _, e := range examples(t, c.file) {
				found, _ := loadTable().byName[c.probe].match([]byte(c.before + strings.TrimPrefix(e.text, c.before) + c.after))
				n.count(t, c.service, e, found.Service)
			}
			names, versions, products := n.shares()
			t.Logf("%d banners: %.0f %% by name, %.0f %% of %d versions, %.0f %% of %d products", n.all,
				100*names, 100*versions, n.withVersion, 100*products, n.withProduct)
			if names < c.names || versions < c.versions || products < c.products {
				t.Errorf("fewer than %.0f %%, %.0f %% and %.0f %%", 100*c.names, 100*c.versions, 100*c.products)
			}
		})
	}
}

// agreement counts banners, and those of which we say the same.
type agreement struct{ all, names, withVersion, versions, withProduct, products int }

func (n *agreement) count(t *testing.T, service string, e example, got exposure.Service) {
	n.all++
	if got.Name == service || service == "http" && got.Name == "ipp" {
		n.names++
	} else if testing.Verbose() && *full {
		t.Logf("name %q: %q", got.Name, e.text)
	}
	if e.version != "" {
		n.withVersion++
		if got.Version == e.version || got.Version != "" && (strings.HasPrefix(got.Version, e.version) || strings.HasPrefix(e.version, got.Version)) {
			n.versions++
		} else if testing.Verbose() && *full {
			t.Logf("version %q, not %q: %q", got.Version, e.version, e.text)
		}
	}
	if e.product != "" {
		n.withProduct++
		if got.Product != "" && sharesWord(got.Product, e.product) {
			n.products++
		} else if testing.Verbose() && *full {
			t.Logf("product %q, not %q: %q", got.Product, e.product, e.text)
		}
	}
}

func (n *agreement) shares() (names, versions, products float64) {
	share := func(a, b int) float64 {
		if b == 0 {
			return 1
		}
		return float64(a) / float64(b)
	}
	return share(n.names, n.all), share(n.versions, n.withVersion), share(n.products, n.withProduct)
}

// sharesWord reports names of one product: HTTPD and Apache httpd.
func sharesWord(a, b string) bool {
	for word := range strings.FieldsFuncSeq(strings.ToLower(b), func(r rune) bool { return strings.ContainsRune(" -_/,.()", r) }) {
		if len(word) > 2 && strings.Contains(strings.ToLower(a), word) {
			return true
		}
	}
	return alike(a, b)
}
