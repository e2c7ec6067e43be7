package main

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// finding is what a scanner said of a target.
type finding struct {
	open answer // endpointKey of each port called open
	// closed is how many ports are called closed, of all hosts.
	closed int
	sent   float64 // probes
	// seconds is how long it scanned and loss the share of probes lost, each by
	// its own account; 0 where it gives none.
	seconds, loss float64
}

// endpointKey names an endpoint that answered.
func endpointKey(proto, addr, port string) string { return proto + " " + addr + ":" + port }

// service is what a scanner said speaks at a port.
type service struct{ name, product, version string }

func (s service) String() string {
	return strings.Join(strings.Fields(s.name+" "+s.product+" "+s.version), " ")
}

// scanDocument is what the bench reads of portreeve scan --json.
type scanDocument struct {
	Schema string
	Hosts  []struct {
		Addr   netip.Addr
		States map[string]int // of the ports not listed
		Ports  []struct {
			Port    uint16
			Proto   string
			State   string
			Service struct{ Name, Product, Version, Via string }
		}
	}
	Stats struct {
		Sent    float64
		Seconds float64
		Loss    struct{ Estimate float64 }
	}
}

func readScan(out []byte) (scanDocument, error) {
	var doc scanDocument
	if err := json.Unmarshal(out, &doc); err != nil {
		return doc, fmt.Errorf("read portreeve scan --json: %w", err)
	}
	if doc.Schema != "portreeve.scan/1" {
		return doc, fmt.Errorf("portreeve scan --json has schema %q", doc.Schema)
	}
	return doc, nil
}

// ourScan reads portreeve scan --json.
func ourScan(out []byte) (finding, error) {
	doc, err := readScan(out)
	f := finding{open: answer{}, sent: doc.Stats.Sent, seconds: doc.Stats.Seconds, loss: doc.Stats.Loss.Estimate}
	for _, h := range doc.Hosts {
		f.closed += h.States["closed"]
		for _, p := range h.Ports {
			switch p.State {
			case "open":
				f.open[endpointKey(p.Proto, h.Addr.String(), strconv.Itoa(int(p.Port)))] = true
			case "closed":
				f.closed++
			}
		}
	}
	return f, err
}

// ourServices reads portreeve scan --identify --json, by port. A name from the
// table of ports alone is no recognition.
func ourServices(out []byte) (map[int]service, error) {
	doc, err := readScan(out)
	said := map[int]service{}
	for _, h := range doc.Hosts {
		for _, p := range h.Ports {
			if s := p.Service; s.Via != "table" {
				said[int(p.Port)] = service{s.Name, s.Product, s.Version}
			}
		}
	}
	return said, err
}

var (
	nmapHost = regexp.MustCompile(`^Nmap scan report for (\S+)$`)
	nmapPort = regexp.MustCompile(`^(\d+)/(tcp|udp)\s+(open|closed)(\s|$)`)
	nmapRest = regexp.MustCompile(`(?:^Not shown:|,) (\d+) closed`)
)

// nmapScan reads nmap's normal output, made with -n.
func nmapScan(out []byte) (finding, error) {
	f, addr := finding{open: answer{}}, ""
	for line := range strings.Lines(string(out)) {
		line = strings.TrimRight(line, "\r\n")
		if m := nmapHost.FindStringSubmatch(line); m != nil {
			addr = m[1]
		} else if m := nmapRest.FindStringSubmatch(line); m != nil {
			n, _ := strconv.Atoi(m[1])
			f.closed += n
		} else if m := nmapPort.FindStringSubmatch(line); m != nil && m[3] == "closed" {
			f.closed++
		} else if m != nil {
			f.open[endpointKey(m[2], addr, m[1])] = true
		}
	}
	if addr == "" {
		return f, fmt.Errorf("nmap reported no host")
	}
	return f, nil
}

// nmapServices reads nmap -sV -oX -, by port. A name that nmap took from its
// table of ports (method "table") is no recognition.
func nmapServices(out []byte) (map[int]service, error) {
	var doc struct {
		Ports []struct {
			ID      int `xml:"portid,attr"`
			Service struct {
				Name    string `xml:"name,attr"`
				Product string `xml:"product,attr"`
				Version string `xml:"version,attr"`
				Extra   string `xml:"extrainfo,attr"`
				Method  string `xml:"method,attr"`
			} `xml:"service"`
		} `xml:"host>ports>port"`
	}
	if err := xml.Unmarshal(out, &doc); err != nil {
		return nil, fmt.Errorf("read nmap's XML: %w", err)
	}
	said := map[int]service{}
	for _, p := range doc.Ports {
		s := p.Service
		if s.Version == "" {
			s.Version = s.Extra // where nmap tells a protocol's version
		}
		if s.Method == "probed" {
			said[p.ID] = service{s.Name, s.Product, s.Version}
		}
	}
	return said, nil
}

var masscanPort = regexp.MustCompile(`Discovered open port (\d+)/(tcp|udp) on (\S+)`)

// masscanScan reads what masscan says on stdout.
func masscanScan(out []byte) (finding, error) {
	f := finding{open: answer{}}
	for _, m := range masscanPort.FindAllStringSubmatch(string(out), -1) {
		f.open[endpointKey(m[2], m[3], m[1])] = true
	}
	return f, nil
}
