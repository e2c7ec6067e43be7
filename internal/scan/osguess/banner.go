package osguess

import (
	_ "embed"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/portreeve/portreeve/internal/exposure"
)

//go:embed banners.txt
var bannerText string

var loadBanners = sync.OnceValues(func() (*banners, error) { return parseBanners(bannerText) })

// banners is banners.txt. It is not changed once read.
type banners struct {
	rules []rule
}

// rule names the system that a service's text tells.
type rule struct {
	services map[string]bool // nil is every service
	pattern  *regexp.Regexp
	accuracy int
	family   string
	name     string // a template of the pattern's groups
}

// claim is what one rule found.
type claim struct {
	name, family string
	accuracy     int
}

// Bounds on what of a service's text is looked at, and what a name may hold.
const (
	maxText = 4096
	maxName = 80
)

func parseBanners(text string) (*banners, error) {
	t := &banners{}
	err := eachLine(text, func(words []string) error {
		r, err := parseRule(words)
		t.rules = append(t.rules, r)
		return err
	})
	if err == nil && len(t.rules) == 0 {
		err = fmt.Errorf("%w: no banner", errTable)
	}
	return t, err
}

// parseRule reads: SERVICE,… ACCURACY FAMILY PATTERN NAME
func parseRule(words []string) (rule, error) {
	if len(words) != 5 {
		return rule{}, fmt.Errorf("%q: not services, accuracy, family, pattern and name", words[0])
	}
	r := rule{family: words[2], name: words[4]}
	if words[0] != "*" {
		r.services = map[string]bool{}
		for name := range strings.SplitSeq(words[0], ",") {
			r.services[name] = true
		}
	}
	var err error
	if r.accuracy, err = strconv.Atoi(words[1]); err != nil {
		return rule{}, err
	}
	r.pattern, err = regexp.Compile(words[3])
	return r, err
}

// read gives the first rule's claim for each service; most are silent.
func (t *banners) read(services []exposure.Service) []claim {
	var out []claim
	for _, s := range services {
		if c, ok := t.service(s); ok {
			out = append(out, c)
		}
	}
	return out
}

func (t *banners) service(s exposure.Service) (claim, bool) {
	text := textOf(s)
	for i := range t.rules {
		r := &t.rules[i]
		if r.services != nil && !r.services[s.Name] {
			continue
		}
		at := r.pattern.FindStringSubmatchIndex(text)
		if at == nil {
			continue
		}
		name := strings.TrimSpace(string(r.pattern.ExpandString(nil, r.name, text, at)))
		if len(name) > maxName {
			name = r.family
		}
		return claim{name: name, family: r.family, accuracy: r.accuracy}, true
	}
	return claim{}, false
}

// textOf is everything that a service said of itself, one item a line.
func textOf(s exposure.Service) string {
	product := strings.TrimSpace(s.Product + " " + s.Version)
	text := strings.Join([]string{s.Banner, product, s.Info, s.CPE}, "\n")
	return strings.ToValidUTF8(text[:min(len(text), maxText)], "")
}
