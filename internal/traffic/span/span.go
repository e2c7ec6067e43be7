package span

import (
	"fmt"
	"slices"
	"strings"
)

// Vendor is a kind of switch that Render knows.
type Vendor struct {
	Name  string // as Request has it, "nx-os"
	Title string // for people
	Docs  string // the documentation that the commands follow
	// Source and Destination are examples of port names.
	Source, Destination string
}

// Direction is which way a frame goes at a source, seen from the switch.
type Direction string

// The directions; an empty one is Both.
const (
	Both Direction = "both"
	Rx   Direction = "rx" // received by the switch
	Tx   Direction = "tx" // sent by the switch
)

// Request is a mirror that is wanted.
type Request struct {
	Vendor      string
	Sources     []string // ports; none when VLANs are the source
	Destination string   // port
	// Session is its number; 0 takes the vendor's first.
	Session   int
	Direction Direction
	// VLANs narrow trunks down, or are the source where no port is named.
	VLANs []int
}

// Plan is what to type, line by line, and what to know.
type Plan struct {
	Setup, Check, Undo []string
	Notes              []string // what the mirror does not show, and the like
}

// RequestError says what is wrong with a request.
type RequestError struct {
	Field   string // of Request, in small letters: "vendor", "source" …
	Value   string // what was given; may hold anything
	Problem string // why not, and what would do
}

func (e *RequestError) Error() string {
	return fmt.Sprintf("%s %q: %s", e.Field, e.Value, e.Problem)
}

// Vendors are those that Render knows, by name.
func Vendors() []Vendor {
	var all []Vendor
	for _, name := range names() {
		v, err := load(name)
		if err != nil {
			continue // TestVendorFiles keeps this from happening
		}
		all = append(all, Vendor{Name: name, Title: v.Title, Docs: v.Docs, Source: v.Example[0], Destination: v.Example[1]})
	}
	return all
}

// Render makes the commands of a request. Errors are *RequestError.
func Render(r Request) (Plan, error) {
	if !slices.Contains(names(), r.Vendor) {
		return Plan{}, &RequestError{"vendor", r.Vendor, "not known; known are " + strings.Join(names(), ", ")}
	}
	v, err := load(r.Vendor)
	if err != nil {
		return Plan{}, err
	}
	values, err := v.values(r)
	if err != nil {
		return Plan{}, err
	}
	return v.render(values)
}
