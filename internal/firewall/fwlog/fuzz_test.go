package fwlog

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"strconv"
	"testing"
)

// FuzzRead: whatever the bytes, Read neither panics nor hangs, says the same
// twice, tells an event only with two addresses, and asked for the dialect
// alone gives the same event.
func FuzzRead(f *testing.F) {
	for _, l := range everything(f) {
		f.Add(l)
	}
	f.Fuzz(func(t *testing.T, l []byte) {
		if bytes.IndexByte(l, '\n') >= 0 {
			return
		}
		p := New(Options{Now: readAt})
		var e Event
		is := p.Read(l, &e)
		if again := sayAll(New(Options{Now: readAt}), l); again != sayAll(New(Options{Now: readAt}), l) {
			t.Errorf("another answer: %s", again)
		}
		if !is {
			if e.Src.IsValid() || e.Dst.IsValid() || e.Format != "" || e.Suppressed != 0 && !e.Limited {
				t.Errorf("no event, but %+v", e)
			}
			return
		}
		for n := 0; ; n++ {
			checkEvent(t, l, &e)
			if n > len(l) {
				t.Fatal("more events than bytes")
			}
			if !p.More(&e) {
				break
			}
		}
	})
}

func checkEvent(t *testing.T, l []byte, e *Event) {
	if !e.Src.IsValid() || !e.Dst.IsValid() || e.Format == "" {
		t.Errorf("an event without addresses or format: %+v", e)
	}
	if e.Src.Zone() != "" || e.Dst.Zone() != "" {
		t.Errorf("zones: %+v", e)
	}
	if !e.HasPorts && (e.SrcPort != 0 || e.DstPort != 0) || !e.HasProto && e.Proto != 0 {
		t.Errorf("what was not told: %+v", e)
	}
	if textual(e.Format) {
		inText(t, l, e)
	}
}

// textual tells whether a dialect writes addresses and ports as plain text:
// not within JSON, where escapes may hide them, nor as names of services.
func textual(format string) bool {
	switch format {
	case "netfilter", "mikrotik", "filterlog", "pflog", "ipfw", "ipmon":
		return true
	}
	return false
}

// inText: the line has each address in some form, and each port.
func inText(t *testing.T, l []byte, e *Event) {
	if bytes.IndexByte(l, '{') >= 0 {
		return // maybe within JSON
	}
	for _, a := range []netip.Addr{e.Src, e.Dst} {
		if !hasAddr(l, a) {
			t.Errorf("%s is not in %q", a, l)
		}
	}
	if !e.HasPorts {
		return
	}
	for _, port := range []uint16{e.SrcPort, e.DstPort} {
		if !bytes.Contains(l, strconv.AppendUint(nil, uint64(port), 10)) {
			t.Errorf("port %d is not in %q", port, l)
		}
	}
}

func hasAddr(l []byte, a netip.Addr) bool {
	if a.Is4() {
		return bytes.Contains(l, []byte(a.String()))
	}
	words := bytes.FieldsFunc(l, func(r rune) bool {
		return !(r >= '0' && r <= '9' || r|0x20 >= 'a' && r|0x20 <= 'f' || r == ':' || r == '.')
	})
	for _, w := range words {
		// a key, a port or a blank may stand around: IPv4 at the end, ".22"
		for from := range w {
			for to := from + 2; to <= len(w); to++ {
				if to-from > 45 {
					break
				}
				if b, err := netip.ParseAddr(string(w[from:to])); err == nil && b == a {
					return true
				}
			}
		}
	}
	return false
}

// FuzzScan: Scan and Parallel agree on any bytes.
func FuzzScan(f *testing.F) {
	f.Add([]byte(plain + "\n\r\n" + plain))
	f.Add([]byte("__REALTIME_TIMESTAMP=1716281645058650\nMESSAGE=" + plain))
	f.Fuzz(func(t *testing.T, log []byte) {
		a, counts := transcript(t, bytes.NewReader(log), Options{Now: readAt})
		b, same := inParallel(t, bytes.NewReader(log), Options{Now: readAt}, 2)
		if a != b || counts != same {
			t.Errorf("Scan and Parallel differ: %+v, %+v", counts, same)
		}
	})
}

// FuzzJSON: what encoding/json takes for an object is walked through, with the
// same keys and values; what is walked through to its end is near enough to
// JSON that encoding/json takes it, but for numbers and the bytes of strings.
func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"a":"b\u00e9\n","c":[1,{"d":null}],"e":-1.5e3,"f":true}`))
	f.Add([]byte(`{"a":"\ud83d\ude00"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		s := jsonFields{rest: text}
		got := map[string]string{}
		for s.next() {
			key, _ := jsonText(append(append([]byte{'"'}, s.key...), '"'), nil)
			got[string(key)] = string(s.value)
		}
		var want map[string]json.RawMessage
		if bytes.IndexByte(text, '{') < 0 || json.Unmarshal(text, &want) != nil || bytes.Count(text, []byte("{"))+bytes.Count(text, []byte("[")) >= maxDepth {
			return
		}
		if s.bad {
			t.Fatalf("%q is an object", text)
		}
		for k, v := range want {
			if bytes.ContainsRune([]byte(k), '\ufffd') {
				continue
			}
			if got[k] != string(v) {
				t.Errorf("%q: %q is %q, want %q", text, k, got[k], v)
			}
			var str string
			if json.Unmarshal(v, &str) == nil && v[0] == '"' && !bytes.ContainsRune([]byte(str), '\ufffd') {
				if plain, _ := jsonText(v, nil); string(plain) != str {
					t.Errorf("%s is %q, want %q", v, plain, str)
				}
			}
		}
	})
}
