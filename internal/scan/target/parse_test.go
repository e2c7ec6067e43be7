package target

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
)

// book is a resolver that knows a few names.
type book map[string][]string

var errUnknown = errors.New("no such host")

func (b book) LookupNetIP(_ context.Context, network, host string) ([]netip.Addr, error) {
	var out []netip.Addr
	for _, text := range b[strings.ToLower(strings.TrimSuffix(host, "."))] {
		a := netip.MustParseAddr(text)
		if v6 := a.Is6() && !a.Is4In6(); network == "ip" || (network == "ip6") == v6 {
			out = append(out, a)
		}
	}
	if out == nil {
		return nil, errUnknown
	}
	return out, nil
}

var names = book{
	"db1.example":  {"2001:db8::5", "192.0.2.5", "192.0.2.6", "192.0.2.5"},
	"mapped":       {"::ffff:192.0.2.9"},
	"six":          {"2001:db8::6"},
	"two-six":      {"2001:db8::6", "2001:db8::7"},
	"blocked":      {"0.0.0.0", "::"},
	"half.blocked": {"0.0.0.0", "192.0.2.77"},
	"link":         {"fe80::7%eth0"},
	"linkless":     {"fe80::7"},
	"under_score":  {"192.0.2.10"},
}

func text(s *Set) string {
	var out []string
	for r := range s.Ranges() {
		out = append(out, r.String())
	}
	return strings.Join(out, " ")
}

func TestParseReadsSpecsAsPeopleTypeThem(t *testing.T) {
	for specs, want := range map[string]string{
		"10.0.0.1":                              "10.0.0.1",
		"10.0.0.2 10.0.0.1 10.0.0.1":            "10.0.0.1-10.0.0.2",
		"10.0.0.0/30":                           "10.0.0.0-10.0.0.3",
		"10.0.0.7/30":                           "10.0.0.4-10.0.0.7",
		"10.0.0.1-10.0.0.50":                    "10.0.0.1-10.0.0.50",
		"10.0.0.250-10.0.1.3":                   "10.0.0.250-10.0.1.3",
		"10.0.0.1-3":                            "10.0.0.1-10.0.0.3",
		"10.0.0-1.1,7,9-10":                     "10.0.0.1 10.0.0.7 10.0.0.9-10.0.0.10 10.0.1.1 10.0.1.7 10.0.1.9-10.0.1.10",
		"10.0.0.*":                              "10.0.0.0-10.0.0.255",
		"10.0.0-3.*":                            "10.0.0.0-10.0.3.255",
		"127.0.0.1 ::1":                         "127.0.0.1 ::1",
		"2001:db8::1":                           "2001:db8::1",
		"[2001:db8::1]":                         "2001:db8::1",
		"2001:DB8::1/126":                       "2001:db8::-2001:db8::3",
		"[2001:db8::1]/127":                     "2001:db8::-2001:db8::1",
		"2001:db8::1-2001:db8::9":               "2001:db8::1-2001:db8::9",
		"[2001:db8::1]-[2001:db8::9]":           "2001:db8::1-2001:db8::9",
		"2001:db8::/112":                        "2001:db8::-2001:db8::ffff",
		"fe80::1%eth0":                          "fe80::1%eth0",
		"fe80::1%br-lan":                        "fe80::1%br-lan",
		"fe80::1%eth0-fe80::3%eth0":             "fe80::1%eth0-fe80::3%eth0",
		"fe80::1%eth0-fe80::3":                  "fe80::1%eth0-fe80::3%eth0",
		"[fe80::%eth0]/127":                     "fe80::%eth0-fe80::1%eth0",
		"::ffff:10.0.0.1":                       "10.0.0.1",
		"::ffff:10.0.0.0/126":                   "10.0.0.0-10.0.0.3",
		"::ffff:10.0.0.1-::ffff:10.0.0.4":       "10.0.0.1-10.0.0.4",
		"db1.example":                           "192.0.2.5",
		"DB1.Example.":                          "192.0.2.5",
		"db1.example/31":                        "192.0.2.4-192.0.2.5",
		"mapped":                                "192.0.2.9",
		"six":                                   "2001:db8::6",
		"six/127":                               "2001:db8::6-2001:db8::7",
		"link":                                  "fe80::7%eth0",
		"under_score":                           "192.0.2.10",
		"half.blocked":                          "192.0.2.77",
		"240.0.0.1 169.254.1.1":                 "169.254.1.1 240.0.0.1",
		"0.0.0.1-223.255.255.255":               "0.0.0.1-223.255.255.255",
		"10.0.0.128/25 10.0.0.0/25 10.0.1.0/24": "10.0.0.0-10.0.1.255",
	} {
		got, err := Parse(t.Context(), Request{Specs: strings.Fields(specs)}, names)
		if err != nil {
			t.Errorf("%s: %v", specs, err)
		} else if text(got.Set) != want {
			t.Errorf("%s: %s, want %s", specs, text(got.Set), want)
		}
	}
}

// Every error names the spec, why, and what to type instead.
func TestParseErrorsHelp(t *testing.T) {
	for spec, want := range map[string]string{
		"":                          "empty",
		"10.0.0.256":                `"256" is no number from 0 to 255`,
		"10.0.0":                    "four parts",
		"10.1":                      "four parts",
		"1":                         "four parts",
		"010.0.0.1":                 "octal",
		"10.0.0.1,,2":               "missing",
		"10.0.0.5-3":                "ends before it begins",
		"10.0.0.*-3":                `"*"`,
		"10.0.0.1-1000":             `"1000"`,
		"10.0.0.1/33":               "32 bits",
		"10.0.0.1/":                 "prefix length",
		"10.0.0.1/-1":               "prefix length",
		"10.0.0.1/024":              "prefix length",
		"10.0.0.1/255.255.255.0":    "netmask",
		"10.0.0.1/24/3":             "prefix length",
		"10.0.0.9-10.0.0.1":         "write 10.0.0.1-10.0.0.9",
		"10.0.0.1-::1":              "families",
		"fe80::1%a-fe80::2%b":       "interfaces",
		"10.0.0.1:80":               "-p",
		"[::1]:80":                  "-p",
		"db1.example:443":           "-p",
		"http://db1.example/":       "URL",
		"2001:db8::g":               "no IPv6 address",
		"[10.0.0.1]":                "no IPv6 address",
		"10.0.0.1%eth0":             "zone",
		"2001:db8::1%eth0":          "zone",
		"fe80::1":                   "%eth0",
		"fe80::1%a/b":               "prefix length",
		"fe80::1%a b":               "interface",
		"0.0.0.0":                   "unspecified",
		"::":                        "unspecified",
		"0.0.0.0/0":                 "0.0.0.0",
		"224.0.0.1":                 "multicast",
		"239.0.0.0/8":               "multicast",
		"223.255.255.255-224.0.0.1": "multicast",
		"ff02::1":                   "multicast",
		"ff02::1%eth0":              "zone",
		"ff02::/16":                 "multicast",
		"255.255.255.255":           "broadcast",
		"255.255.255.0/24":          "broadcast",
		"2001:db8::/64":             "65,536",
		"2001:db8::/111":            "65,536",
		"2001:db8::-2001:db8::1:0":  "65,536",
		"::/0":                      "65,536",
		"six/64":                    "65,536",
		"db1.example/129":           "prefix length",
		"mapped/64":                 "32 bits",
		"fe80::/10":                 "65,536",
		"febf:ffff:ffff:ffff:ffff:ffff:ffff:fff0-fec0::1": "partly",
		"*.*.*.1":                       "it stands for more than",
		"a_b!":                          "host name",
		"-web":                          "host name",
		"web..example":                  "host name",
		"bücher.ex":                     "xn--",
		"0x7f000001":                    "number",
		"foo.1":                         "number",
		"a\x00b":                        "host name",
		"a\u202eb":                      "xn--",
		"nobody":                        "does not resolve",
		"blocked":                       "unspecified",
		"linkless":                      "%eth0",
		"link%eth0":                     "zone",
		"1.2.3.4-5.6.7":                 "four parts",
		strings.Repeat("a.", 130) + "a": "253",
		strings.Repeat("1", 2000):       "1024",
	} {
		_, err := Parse(t.Context(), Request{Specs: []string{spec}}, names)
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%q: %v, want an *Error", short(spec), err)
			continue
		}
		if e.Why == "" || e.Hint == "" || e.Spec != short(spec) || e.Kind != "target" || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %q (%+v), want %q in it", short(spec), err, e, want)
		}
		if strings.ContainsAny(err.Error(), "\x00\u202e") {
			t.Errorf("%q: raw control characters in the message", spec)
		}
	}
}

func TestFamiliesOfAName(t *testing.T) {
	for _, c := range []struct {
		family Family
		all    bool
		name   string
		want   string
		note   string
	}{
		{PreferIPv4, false, "db1.example", "192.0.2.5", "db1.example: scanning 192.0.2.5, not its other addresses 2001:db8::5, 192.0.2.6"},
		{PreferIPv4, true, "db1.example", "192.0.2.5-192.0.2.6", "db1.example: scanning 192.0.2.5, 192.0.2.6, not its other addresses 2001:db8::5"},
		{OnlyIPv6, false, "db1.example", "2001:db8::5", ""},
		{OnlyIPv4, true, "db1.example", "192.0.2.5-192.0.2.6", ""},
		{BothFamilies, false, "db1.example", "192.0.2.5 2001:db8::5", "db1.example: scanning 2001:db8::5, 192.0.2.5, not its other addresses 192.0.2.6"},
		{BothFamilies, true, "db1.example", "192.0.2.5-192.0.2.6 2001:db8::5", ""},
		{PreferIPv4, false, "two-six", "2001:db8::6", "two-six: scanning 2001:db8::6, not its other addresses 2001:db8::7"},
		{OnlyIPv6, false, "mapped", "", ""},
		{OnlyIPv4, false, "six", "", ""},
	} {
		got, err := Parse(t.Context(), Request{Specs: []string{c.name}, Family: c.family, AllAddresses: c.all}, names)
		if c.want == "" {
			var e *Error
			if !errors.As(err, &e) {
				t.Errorf("%+v: %v", c, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%+v: %v", c, err)
			continue
		}
		if text(got.Set) != c.want || strings.Join(got.Notes, "|") != c.note {
			t.Errorf("%+v: %s, notes %q", c, text(got.Set), got.Notes)
		}
	}
}

func TestNamesOfAddresses(t *testing.T) {
	got, err := Parse(t.Context(), Request{Specs: []string{"192.0.2.0/24", "DB1.example", "mapped"}}, names)
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]string{"192.0.2.5": "DB1.example", "192.0.2.9": "mapped", "::ffff:192.0.2.9": "mapped", "192.0.2.6": ""} {
		if n := got.Set.Name(netip.MustParseAddr(addr)); n != want {
			t.Errorf("%s: %q, want %q", addr, n, want)
		}
	}
}

// One dead name does not keep the rest from being scanned.
func TestANameThatDoesNotResolveIsAGap(t *testing.T) {
	got, err := Parse(t.Context(), Request{Specs: []string{"nobody", "10.0.0.1", "blocked"}}, names)
	if err != nil || text(got.Set) != "10.0.0.1" {
		t.Fatal(err)
	}
	if len(got.Gaps) != 2 || got.Gaps[0].View != "network" || !strings.Contains(got.Gaps[0].Why, `"nobody"`) || !strings.Contains(got.Gaps[1].Why, `"blocked"`) {
		t.Errorf("%+v", got.Gaps)
	}
	_, err = Parse(t.Context(), Request{Specs: []string{"nobody", "no-one"}}, names)
	if !errors.Is(err, errUnknown) {
		t.Errorf("the resolver's error is lost: %v", err)
	}
	if _, err = Parse(t.Context(), Request{Specs: []string{"db1.example"}}, nil); !errors.Is(err, ErrNoResolver) {
		t.Errorf("no resolver: %v", err)
	}
}

func TestExclusionsHold(t *testing.T) {
	for _, c := range []struct{ specs, exclude, never, want string }{
		{"10.0.0.0/29", "10.0.0.2 10.0.0.4-5", "", "10.0.0.0-10.0.0.1 10.0.0.3 10.0.0.6-10.0.0.7"},
		{"10.0.0.0/30", "", "10.0.0.0/31", "10.0.0.2-10.0.0.3"},
		{"10.0.0.0/30", "", "::ffff:10.0.0.0/127", "10.0.0.2-10.0.0.3"},
		{"10.0.0.0/30", "::/0", "", "10.0.0.0-10.0.0.3"},
		{"2001:db8::/126 10.0.0.1", "2001:db8::/32 224.0.0.0/4", "", "10.0.0.1"},
		{"10.0.0.1 2001:db8::1", "0.0.0.0/0", "", "2001:db8::1"},
		{"fe80::1%eth0 fe80::1%eth1 fe80::2%eth0", "fe80::1", "", "fe80::2%eth0"},
		{"fe80::1%eth0 fe80::1%eth1", "fe80::1%eth1", "", "fe80::1%eth0"},
		{"fe80::1%2 fe80::1%eth1", "fe80::1%eth0", "", "fe80::1%eth1"}, // 2 is eth0
		{"fe80::1%eth0 10.0.0.1", "", "fe80::/10", "10.0.0.1"},
		{"192.0.2.0/28", "db1.example", "", "192.0.2.0-192.0.2.4 192.0.2.7-192.0.2.15"}, // both its addresses
		{"10.0.0-3.0-1", "*.*.0-2.0", "", "10.0.0.1 10.0.1.1 10.0.2.1 10.0.3.0-10.0.3.1"},
	} {
		req := Request{Specs: strings.Fields(c.specs), Exclude: strings.Fields(c.exclude), CanonicalZone: canonical}
		for _, p := range strings.Fields(c.never) {
			req.Never = append(req.Never, netip.MustParsePrefix(p))
		}
		got, err := Parse(t.Context(), req, names)
		if err != nil || text(got.Set) != c.want {
			t.Errorf("%+v: %v, %v", c, got.Set, err)
			continue
		}
	}
}

func canonical(zone string) (string, error) {
	if i := slices.Index([]string{"1", "2", "3"}, zone); i >= 0 {
		return []string{"lo", "eth0", "eth1"}[i], nil
	}
	if strings.HasPrefix(zone, "eth") {
		return zone, nil
	}
	return "", fmt.Errorf("no interface %q", zone)
}

// What cannot be excluded must not be scanned in its place.
func TestAnExclusionThatCannotBeHeldEndsTheRequest(t *testing.T) {
	for _, x := range []string{"nobody", "10.0.0.256", "fe80::1%nope", "2001:db8::1%eth0", "db1.example/40"} {
		_, err := Parse(t.Context(), Request{Specs: []string{"10.0.0.0/24"}, Exclude: []string{x}, CanonicalZone: canonical}, names)
		var e *Error
		if !errors.As(err, &e) || e.Kind != "exclusion" || e.Spec != x {
			t.Errorf("%s: %v", x, err)
		}
	}
}

func TestNothingToScanIsSaid(t *testing.T) {
	if _, err := Parse(t.Context(), Request{}, names); !errors.Is(err, ErrNoTarget) {
		t.Error(err)
	}
	never := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), {}}
	got, err := Parse(t.Context(), Request{Specs: []string{"10.0.0.0/24"}, Never: never}, names)
	if !errors.Is(err, ErrNoneLeft) || got.Excluded != 256 {
		t.Error(err, got.Excluded)
	}
}

func TestADefaultZoneCompletesLinkLocalAddresses(t *testing.T) {
	got, err := Parse(t.Context(), Request{Specs: []string{"fe80::1", "fe80::/126", "fe80::9%eth1", "linkless", "10.0.0.1"}, Zone: "eth0"}, names)
	if err != nil || text(got.Set) != "10.0.0.1 fe80::%eth0-fe80::3%eth0 fe80::7%eth0 fe80::9%eth1" {
		t.Error(text(got.Set), err)
	}
}

// counter counts how many lookups run at once.
type counter struct {
	sync.Mutex
	now, most, all int
	gate           chan struct{}
}

func (c *counter) LookupNetIP(ctx context.Context, _, host string) ([]netip.Addr, error) {
	c.Lock()
	c.now++
	c.all++
	c.most = max(c.most, c.now)
	c.Unlock()
	defer func() {
		c.Lock()
		c.now--
		c.Unlock()
	}()
	select {
	case <-c.gate:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	var n byte
	_, err := fmt.Sscanf(host, "h%d", &n)
	return []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 0, n})}, err
}

func TestNamesAreLookedUpOnceAndSeveralAtATime(t *testing.T) {
	c := &counter{gate: make(chan struct{})}
	close(c.gate)
	var req Request
	for i := range 200 {
		req.Specs = append(req.Specs, fmt.Sprintf("h%d", 1+i%100), fmt.Sprintf("H%d", 1+i%100))
	}
	got, err := Parse(t.Context(), req, c)
	if err != nil || text(got.Set) != "10.0.0.1-10.0.0.100" {
		t.Fatal(err)
	}
	if c.all != 100 || c.most > lookups {
		t.Errorf("%d lookups, %d at a time", c.all, c.most)
	}
}

func TestACancelledLookupEndsTheRequest(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := &counter{gate: make(chan struct{})}
	done := make(chan error)
	go func() {
		_, err := Parse(ctx, Request{Specs: []string{"h1", "h2", "10.0.0.1"}}, c)
		done <- err
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
