package target

// Limits of what is read and held.
const (
	// MaxAddresses is more than any set may hold.
	MaxAddresses = 1 << 40
	// MaxRanges is how many disjoint ranges a set may hold (56 bytes each):
	// 1-8.*.*.1 are 524,288.
	MaxRanges = 1 << 19
	// MaxV6Range is the largest IPv6 prefix (a /112) or range.
	MaxV6Range = 1 << 16
	// MaxNames is how many different host names are looked up.
	MaxNames = 1 << 16
	// MaxSpecs is how many specs all files of a request may hold.
	MaxSpecs = 1 << 20
	// MaxSpec is the length of one spec in bytes.
	MaxSpec = 1024
	// MaxFile and MaxEvidence are the sizes in bytes of a list of specs and
	// of a JSON document.
	MaxFile     = 64 << 20
	MaxEvidence = 256 << 20

	maxPieces = 1 << 22 // ranges of all specs before they are merged
	maxBlank  = 1 << 20 // bytes of white space before the first target
	maxZone   = 64      // bytes; IFNAMSIZ is 16, other systems have longer names
	maxZones  = 1024    // different zones in one set
	lookups   = 16      // names looked up at the same time
)
