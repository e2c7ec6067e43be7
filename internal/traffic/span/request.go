package span

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// values are what a vendor's templates are given.
type values struct {
	Sources     []string
	Destination string
	Session     int
	Name        string // a session's name, where the vendor has names
	Direction   string // in the vendor's word
	Rx, Tx      bool
	VLANs       []int
}

// values checks a request and puts it into the vendor's words.
func (v *vendor) values(r Request) (values, error) {
	out := values{Sources: r.Sources, Destination: r.Destination, VLANs: r.VLANs}
	for _, check := range []func(Request, *values) error{v.ports, v.session, v.direction, v.vlans} {
		if err := check(r, &out); err != nil {
			return values{}, err
		}
	}
	return out, nil
}

func (v *vendor) ports(r Request, _ *values) error {
	if r.Destination == "" {
		return &RequestError{"destination", "", "is missing: the port where the copies come out, such as " + v.Example[1]}
	}
	if err := v.port("destination", r.Destination); err != nil {
		return err
	}
	for i, s := range r.Sources {
		if err := v.port("source", s); err != nil {
			return err
		}
		if s == r.Destination {
			return &RequestError{"source", s, "is the destination too"}
		}
		if slices.Contains(r.Sources[:i], s) {
			return &RequestError{"source", s, "is given twice"}
		}
	}
	return v.count(r)
}

// count checks how many sources there are.
func (v *vendor) count(r Request) error {
	n := len(r.Sources)
	if n == 0 && !(len(r.VLANs) > 0 && slices.Contains(v.VLANs, "source")) {
		return &RequestError{"source", "", "is missing: the port to watch, such as " + v.Example[0]}
	}
	if v.MaxSources > 0 && n > v.MaxSources {
		return &RequestError{"source", strings.Join(r.Sources, " "), fmt.Sprintf("%s takes %d", v.name, v.MaxSources)}
	}
	return nil
}

// port checks a name. The pattern is the vendor's; that nothing dangerous gets
// in does not rest on it alone.
func (v *vendor) port(field, name string) error {
	if i := strings.IndexFunc(name, dangerous); i >= 0 {
		return &RequestError{field, name, fmt.Sprintf("has the character %q, which no port name has", []rune(name[i:])[0])}
	}
	pattern, err := regexp.Compile("^(?:" + v.Port + ")$")
	if err != nil {
		return err
	}
	if !pattern.MatchString(name) {
		return &RequestError{field, name, fmt.Sprintf("is no port name of %s, which look like %s", v.name, v.Example[0])}
	}
	return nil
}

// dangerous reports all but what port names consist of.
func dangerous(c rune) bool {
	return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("/.:_- ", c))
}

func (v *vendor) session(r Request, out *values) error {
	if v.Session == nil {
		if r.Session != 0 {
			return &RequestError{"session", strconv.Itoa(r.Session), v.name + " has no session numbers"}
		}
		return nil
	}
	out.Session = r.Session
	if r.Session == 0 {
		out.Session = max(v.Session.First, v.Session.Min)
	}
	if out.Session < v.Session.Min || out.Session > v.Session.Max {
		return &RequestError{"session", strconv.Itoa(r.Session), fmt.Sprintf("%s has %d to %d", v.name, v.Session.Min, v.Session.Max)}
	}
	out.Name = "portreeve" + strconv.Itoa(out.Session)
	return nil
}

func (v *vendor) direction(r Request, out *values) error {
	d := r.Direction
	if d == "" {
		d = Both
	}
	if d != Both && d != Rx && d != Tx {
		return &RequestError{"direction", string(r.Direction), "not known; rx, tx and both are"}
	}
	word, ok := v.Directions[d]
	if !ok {
		return &RequestError{"direction", string(d), fmt.Sprintf("%s has %s only", v.name, v.directions())}
	}
	out.Direction, out.Rx, out.Tx = word, d != Tx, d != Rx
	return nil
}

// directions are those that the vendor has, for an error.
func (v *vendor) directions() string {
	var all []string
	for _, d := range []Direction{Rx, Tx, Both} {
		if _, ok := v.Directions[d]; ok {
			all = append(all, string(d))
		}
	}
	return strings.Join(all, " and ")
}

func (v *vendor) vlans(r Request, _ *values) error {
	if len(r.VLANs) == 0 {
		return nil
	}
	use, takes := "filter", "VLANs beside ports"
	if len(r.Sources) == 0 {
		use, takes = "source", "VLANs as sources"
	}
	if !slices.Contains(v.VLANs, use) {
		return &RequestError{"vlan", fmt.Sprint(r.VLANs), v.name + " takes no " + takes}
	}
	for i, n := range r.VLANs {
		if n < 1 || n > 4094 {
			return &RequestError{"vlan", strconv.Itoa(n), "VLANs are 1 to 4094"}
		}
		if slices.Contains(r.VLANs[:i], n) {
			return &RequestError{"vlan", strconv.Itoa(n), "is given twice"}
		}
	}
	return nil
}
