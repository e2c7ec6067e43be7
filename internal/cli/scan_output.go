package cli

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/report"
	"github.com/portreeve/portreeve/internal/scan"
	"github.com/portreeve/portreeve/internal/scan/nmapxml"
)

// output is one file that a result is written to.
type output struct {
	name string
	put  func(io.Writer, nmapxml.Doc) error
}

func writeXML(w io.Writer, d nmapxml.Doc) error      { return nmapxml.Write(w, d) }
func writeGrepable(w io.Writer, d nmapxml.Doc) error { return nmapxml.WriteGrepable(w, d) }

func (o output) write(s *streams, d nmapxml.Doc) error {
	switch o.name {
	case "":
		return nil
	case "-":
		return s.finish(o.put(s.out, d), nil)
	}
	f, err := os.Create(o.name)
	if err != nil {
		return writeError(err)
	}
	err = o.put(f, d)
	if closed := f.Close(); err == nil {
		err = closed
	}
	return s.finish(err, nil)
}

// document is a result in the form that nmap's formats are written from.
func (r *scanRequest) document(res *scan.Result) nmapxml.Doc {
	d := nmapxml.Doc{Version: version(), Args: strings.Join(os.Args, " "), Scan: &res.Scan, Targets: r.targets.Len(), Reasons: res.Reasons}
	for _, a := range []nmapxml.Asked{{Proto: exposure.TCP, Ports: r.TCP}, {Proto: exposure.UDP, Ports: r.UDP}} {
		if a.Type = res.Asked[a.Proto]; len(a.Ports) > 0 && a.Type != "" {
			d.Asked = append(d.Asked, a)
		}
	}
	return d
}

// facts is what a scan's page says beyond the scan.
func (r *scanRequest) facts(res *scan.Result) report.ScanFacts {
	return report.ScanFacts{Addresses: r.targets.Len(), Reasons: res.Reasons}
}

// showScans shows results that were made before, several as one.
func showScans(s *streams, f *scanFlags, args []string) error {
	if len(args) > 0 {
		return usage("give targets or --from, not both", "--from reads a result instead of scanning %s", args[0])
	}
	var scans []exposure.Scan
	for _, from := range f.from {
		sc, err := readVantage(s, from)
		if err != nil {
			return usage("give nmap's XML (-oX) or portreeve scan --json", "read the result %s: %w", from, err)
		}
		scans = append(scans, sc)
	}
	merged := scan.Merge(scans)
	if f.json {
		return s.finish(report.ScanJSON(s.out, hostname(), &merged), merged.Gaps)
	}
	d := nmapxml.Doc{Version: version(), Args: strings.Join(os.Args, " "), Scan: &merged}
	for _, o := range []output{{f.xml, writeXML}, {f.grepable, writeGrepable}} {
		if err := o.write(s, d); err != nil {
			return err
		}
	}
	if f.xml == "-" || f.grepable == "-" {
		return s.finish(nil, merged.Gaps)
	}
	return s.finish(report.ScanText(s.out, &merged, report.ScanFacts{}, s.style(f.verbose)), merged.Gaps)
}

// openSignatures opens installed signature databases.
func openSignatures(names []string) (signatures, error) {
	var all signatures
	for _, name := range names {
		found, err := openSignature(name)
		if err != nil {
			return nil, usage("give auto, an nmap-service-probes file or a folder of recog XML", "signatures %s: %w", name, err)
		}
		all = append(all, found...)
	}
	if len(all) == 0 {
		return nil, usage("install nmap or recog, or name a file", "%w", fmt.Errorf("no signatures are installed in the usual places"))
	}
	return all, nil
}
