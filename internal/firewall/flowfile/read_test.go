package flowfile

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// line writes a flow on one line.
func line(f *exposure.Flow) string {
	s := fmt.Sprintf("%s %s:%d > %s:%d", f.Proto, f.Client, f.ClientPort, f.Server, f.ServerPort)
	if f.Answered != "" {
		s += " " + string(f.Answered)
	}
	if f.Action != "" {
		s += " " + f.Action
	}
	return s
}

func readAll(t *testing.T, text, format string) (string, Info, []Problem) {
	t.Helper()
	var out []string
	info, problems, err := Read(strings.NewReader(text), "x", format, func(f *exposure.Flow) error {
		out = append(out, line(f))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(out, "\n"), info, problems
}

const zeekHead = "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tconn\n#open\t2026-01-01-00-00-00\n"

// Lines of the forms' documentation, with documentation addresses.
var forms = []struct {
	name, text, format, want string
	unread                   uint64
}{
	{"own", `{"proto":"tcp","client":"192.0.2.1","client_port":40000,"server":"198.51.100.2","server_port":443,"packets_to_server":5,"packets_to_client":4,"bytes_to_server":500,"bytes_to_client":900,"first":"2026-01-02T03:04:05.000000006Z","last":"2026-01-02T03:04:06Z","history":"ShADadFf","state":"SF","oriented_by":"syn","vlan":7}
{"proto":"udp","client":"2001:db8::1","client_port":5353,"server":"2001:db8::2","server_port":53,"packets_to_server":1,"packets_to_client":0,"refused":1}
{"proto":"tcp","client":"192.0.2.1","client_port":40001,"server":"198.51.100.2","server_port":22,"state":"REJ","packets_to_server":1,"packets_to_client":1}
`, Portreeve, "tcp 192.0.2.1:40000 > 198.51.100.2:443 yes\nudp 2001:db8::1:5353 > 2001:db8::2:53 refused\ntcp 192.0.2.1:40001 > 198.51.100.2:22 refused", 0},
	{"zeek", zeekHead + "#fields\tproto\tts\tid.resp_h\tid.resp_p\tid.orig_h\tid.orig_p\tconn_state\tservice\tduration\torig_bytes\tresp_bytes\ttunnel_parents\n" +
		"#types\tenum\ttime\taddr\tport\taddr\tport\tstring\tstring\tinterval\tcount\tcount\tset[string]\n" +
		"tcp\t1700000000.123456\t198.51.100.2\t443\t192.0.2.1\t40000\tSF\tssl\t1.5\t10\t20\t(empty)\n" +
		"udp\t1700000001.0\t198.51.100.2\t53\t192.0.2.1\t40001\tS0\t-\t-\t-\t-\t-\n" +
		"icmp\t1700000001.0\t2001:db8::2\t129\t2001:db8::1\t128\tOTH\t-\t1\t56\t56\t-\n" +
		"tcp\t1700000001.0\t198.51.100.2\t99999\t192.0.2.1\t40001\tS0\t-\t-\t-\t-\t-\n" +
		"tcp\tshort\n#close\t2026-01-02-00-00-00\n",
		ZeekTSV, "tcp 192.0.2.1:40000 > 198.51.100.2:443 yes\nudp 192.0.2.1:40001 > 198.51.100.2:53 no\nicmp6 2001:db8::1:128 > 2001:db8::2:129 yes", 2},
	{"zeek JSON", `{"ts":1700000000.1,"uid":"C1","id.orig_h":"192.0.2.1","id.orig_p":40000,"id.resp_h":"198.51.100.2","id.resp_p":443,"proto":"tcp","conn_state":"RSTRH","orig_pkts":0,"resp_pkts":2}
{"_path":"conn","ts":"2026-01-02T03:04:05.5Z","uid":"C2","id":{"orig_h":"192.0.2.1","orig_p":40001,"resp_h":"198.51.100.2","resp_p":53},"proto":"udp","conn_state":"SF"}
{"_path":"dns","ts":1700000000.1,"uid":"C3","id.orig_h":"192.0.2.1","id.orig_p":40000,"id.resp_h":"198.51.100.2","id.resp_p":53,"proto":"udp","client":"nobody"}
{"ts":1700000000.1,"uid":"C4","id.orig_h":"192.0.2.300","id.orig_p":1,"id.resp_h":"198.51.100.2","id.resp_p":443,"proto":"tcp","conn_state":"S0"}
{"ts":17000
`, ZeekJSON, "tcp 192.0.2.1:40000 > 198.51.100.2:443 refused\nudp 192.0.2.1:40001 > 198.51.100.2:53 yes", 2},
	{"conntrack", `tcp      6 431999 ESTABLISHED src=192.0.2.1 dst=198.51.100.2 sport=40000 dport=443 packets=10 bytes=1200 src=198.51.100.2 dst=192.0.2.1 sport=443 dport=40000 packets=8 bytes=9000 [ASSURED] mark=0 secctx=null use=1
tcp      6 118 SYN_SENT src=192.0.2.1 dst=198.51.100.3 sport=40001 dport=22 [UNREPLIED] src=198.51.100.3 dst=192.0.2.1 sport=22 dport=40001 mark=0 use=1
tcp      6 8 CLOSE src=192.0.2.1 dst=198.51.100.4 sport=40002 dport=23 src=198.51.100.4 dst=192.0.2.1 sport=23 dport=40002 mark=0 use=1
udp      17 28 src=192.0.2.1 dst=203.0.113.9 sport=40003 dport=53 src=10.0.0.53 dst=192.0.2.1 sport=53 dport=40003 mark=0 use=1
icmp     1 29 src=192.0.2.1 dst=198.51.100.2 type=8 code=0 id=7 src=198.51.100.2 dst=192.0.2.1 type=0 code=0 id=7 mark=0 use=1
conntrack v1.4.8 (conntrack-tools): 5 flow entries have been shown.
`, Conntrack, "tcp 192.0.2.1:40000 > 198.51.100.2:443 yes\ntcp 192.0.2.1:40001 > 198.51.100.3:22 no\ntcp 192.0.2.1:40002 > 198.51.100.4:23 refused\n" +
		"udp 192.0.2.1:40003 > 203.0.113.9:53 yes\nicmp 192.0.2.1:8 > 198.51.100.2:0 yes", 0},
	{"proc", "ipv4     2 tcp      6 431999 ESTABLISHED src=192.0.2.1 dst=198.51.100.2 sport=40000 dport=443 src=198.51.100.2 dst=192.0.2.1 sport=443 dport=40000 [ASSURED] mark=0 zone=0 use=2\n" +
		"ipv6     10 udp      17 29 src=2001:db8::1 dst=2001:db8::2 sport=546 dport=547 [UNREPLIED] src=2001:db8::2 dst=2001:db8::1 sport=547 dport=546 mark=0 zone=0 use=2\n",
		Conntrack, "tcp 192.0.2.1:40000 > 198.51.100.2:443 yes\nudp 2001:db8::1:546 > 2001:db8::2:547 no", 0},
	{"conntrack events", `[1700000000.100000]	    [NEW] tcp      6 120 SYN_SENT src=192.0.2.1 dst=198.51.100.2 sport=40000 dport=443 [UNREPLIED] src=198.51.100.2 dst=192.0.2.1 sport=443 dport=40000
[1700000000.200000]	 [UPDATE] tcp      6 60 SYN_RECV src=192.0.2.1 dst=198.51.100.2 sport=40000 dport=443 src=198.51.100.2 dst=192.0.2.1 sport=443 dport=40000
[1700000000.300000]	    [NEW] udp      17 30 src=192.0.2.1 dst=198.51.100.3 sport=40001 dport=53 [UNREPLIED] src=198.51.100.3 dst=192.0.2.1 sport=53 dport=40001
[1700000000.400000]	[DESTROY] tcp      6 src=192.0.2.1 dst=198.51.100.2 sport=40000 dport=443 packets=5 bytes=400 src=198.51.100.2 dst=192.0.2.1 sport=443 dport=40000 packets=4 bytes=900 [ASSURED]
rubbish
`, Conntrack, "tcp 192.0.2.1:40000 > 198.51.100.2:443 yes\nudp 192.0.2.1:40001 > 198.51.100.3:53 no", 1},
	{"nfdump 1.6", "ts,te,td,sa,da,sp,dp,pr,flg,fwd,stos,ipkt,ibyt,opkt,obyt\n" +
		"2026-01-02 03:04:05,2026-01-02 03:04:06,1.000,192.0.2.1,198.51.100.2,40000,443,TCP,.AP.SF,0,0,5,500,0,0\n" +
		"2026-01-02 03:04:05,2026-01-02 03:04:06,1.000,198.51.100.2,192.0.2.1,443,40000,TCP,.AP.SF,0,0,4,900,0,0\n" +
		"2026-01-02 03:04:05,2026-01-02 03:04:06,1.000,198.51.100.9,192.0.2.1,53,40001,UDP,......,0,0,1,90,0,0\n" +
		"2026-01-02 03:04:05,2026-01-02 03:04:06,1.000,192.0.2.1,198.51.100.7,40002,22,TCP,....S.,0,0,3,180,0,0\n" +
		"x,x,x,192.0.2.1,198.51.100.7,40002,no,TCP\nSummary\nflows,bytes\n5,100\n",
		NfdumpCSV, "tcp 192.0.2.1:40000 > 198.51.100.2:443 yes\nudp 192.0.2.1:40001 > 198.51.100.9:53\ntcp 192.0.2.1:40002 > 198.51.100.7:22 no", 1},
	{"netfilter", "Jan  2 03:04:05 gw kernel: [UFW BLOCK] IN=eth0 OUT= MAC=00 SRC=203.0.113.9 DST=192.0.2.1 LEN=60 TOS=0x00 PREC=0x00 TTL=50 ID=1 DF PROTO=TCP SPT=40000 DPT=22 WINDOW=29200 RES=0x00 SYN URGP=0\nno log at all\n",
		"netfilter", "tcp 203.0.113.9:40000 > 192.0.2.1:22 no deny", 0}, // the other line is some other program's
	{"AWS", "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status\n" +
		"2 123456789010 eni-1235b8ca123456789 198.51.100.2 192.0.2.1 443 40000 6 20 4249 1418530010 1418530070 ACCEPT OK\n" +
		"2 123456789010 eni-1235b8ca123456789 192.0.2.1 198.51.100.2 40000 443 6 20 4249 1418530010 1418530070 ACCEPT OK\n" +
		"2 123456789010 eni-1235b8ca123456789 192.0.2.1 198.51.100.2 40000 443 6 20 4249 1418530070 1418530130 ACCEPT OK\n" +
		"2 123456789010 eni-1235b8ca123456789 203.0.113.9 192.0.2.1 49761 3389 6 1 40 1418530010 1418530070 REJECT OK\n" +
		"2 123456789010 eni-1235b8ca123456789 - - - - - - - 1431280876 1431280934 - NODATA\n",
		"aws-vpc", "tcp 203.0.113.9:49761 > 192.0.2.1:3389 no deny\ntcp 192.0.2.1:40000 > 198.51.100.2:443 yes permit", 0},
}

func TestFormsAreToldByContent(t *testing.T) {
	for _, c := range forms {
		t.Run(c.name, func(t *testing.T) {
			got, info, problems := readAll(t, c.text, Auto)
			if got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
			if info.Format != c.format || info.Unread != c.unread || uint64(len(problems)) != c.unread {
				t.Errorf("%+v %v", info, problems)
			}
		})
	}
}

func TestTimesAndCounts(t *testing.T) {
	var got exposure.Flow
	info, _, err := Read(strings.NewReader(forms[1].text), "", Auto, func(f *exposure.Flow) error {
		if got.Proto == "" {
			got = *f
		}
		return nil
	})
	first := time.Unix(1700000000, 123456000).UTC()
	if err != nil || !got.First.Equal(first) || got.Last.Sub(got.First) != 1500*time.Millisecond || got.BytesToServer != 10 || got.BytesToClient != 20 || got.Service != "ssl" {
		t.Errorf("%v %+v", err, got)
	}
	if !info.First.Equal(first) || info.Flows != 3 {
		t.Errorf("%+v", info)
	}
}

// Of a connection that is exported minute by minute in two directions there is
// one flow, with the sums of both.
func TestDirectionsAddUp(t *testing.T) {
	var got []exposure.Flow
	_, _, err := Read(strings.NewReader(forms[len(forms)-1].text), "", Auto, func(f *exposure.Flow) error {
		got = append(got, *f)
		return nil
	})
	f := got[len(got)-1]
	if err != nil || f.PacketsToServer != 40 || f.PacketsToClient != 20 || f.First.Unix() != 1418530010 || f.OrientedBy != "port" {
		t.Errorf("%v %+v", err, f)
	}
}

func TestOrientation(t *testing.T) {
	p := newPairs(func(_ exposure.Proto, port uint16) bool { return port == 8443 })
	mk := func(src, dst uint16) *pair {
		return &pair{there: oneWay{tuple: tuple{exposure.TCP, addr("192.0.2.1"), addr("198.51.100.2"), src, dst}, packets: 1}}
	}
	for range 3 {
		p.shared[portKey{exposure.TCP, addr("192.0.2.1"), 5001}]++
	}
	p.shared[portKey{exposure.TCP, addr("198.51.100.2"), 6001}]++
	flagged := mk(443, 40000)
	flagged.there.syn = true
	for _, c := range []struct {
		pair *pair
		turn bool
		by   string
	}{
		{mk(443, 40000), true, "port"}, {mk(40000, 443), false, "port"}, {mk(8443, 40000), true, "registry"},
		{mk(5001, 6001), true, "shared-port"}, {mk(5555, 50000), true, "port"}, {mk(50000, 50001), false, "first-packet"},
		{mk(22, 443), false, "first-packet"}, {flagged, false, "syn"},
	} {
		if turn, by := p.orient(c.pair); turn != c.turn || by != c.by {
			t.Errorf("%d > %d: %v by %s", c.pair.there.srcPort, c.pair.there.dstPort, turn, by)
		}
	}
}

func TestAnsweredByState(t *testing.T) {
	for state, want := range map[string]exposure.Answered{
		"SF": "yes", "S1": "yes", "S2": "yes", "S3": "yes", "RSTO": "yes", "RSTR": "yes",
		"S0": "no", "SH": "no", "RSTOS0": "no", "REJ": "refused", "RSTRH": "refused", "OTH": "no", "SHR": "no",
	} {
		f := exposure.Flow{Proto: exposure.TCP, State: state}
		if got := answered(&f); got != want {
			t.Errorf("%s: %s", state, got)
		}
	}
	for _, f := range []exposure.Flow{
		{Proto: exposure.TCP, State: "OTH", PacketsToServer: 1, PacketsToClient: 1}, {Proto: exposure.UDP, State: "S0", PacketsToClient: 1},
	} {
		if got := answered(&f); got != exposure.FlowAnswered {
			t.Errorf("%+v: %s", f, got)
		}
	}
}

// Concatenated files change form line by line, or columns at a new header.
func TestFilesPutTogether(t *testing.T) {
	got, info, _ := readAll(t, forms[0].text+forms[2].text, Auto)
	if want := forms[0].want + "\n" + forms[2].want; got != want || info.Unread != 2 {
		t.Errorf("%s %+v", got, info)
	}
	other := "#separator \\x09\n#path\tdns\n#fields\tts\tuid\n1.0\tC1\n"
	got, info, _ = readAll(t, forms[1].text+other+forms[1].text, Auto)
	if want := forms[1].want + "\n" + forms[1].want; got != want || info.Ignored != 1 || len(info.Notes) != 1 {
		t.Errorf("%s %+v", got, info)
	}
}

func TestEndlessLineIsAProblemAndReadingGoesOn(t *testing.T) {
	text := forms[0].text + strings.Repeat("x", 3*MaxLine) + "\n" + forms[0].text
	got, info, problems := readAll(t, text, Auto)
	if got != forms[0].want+"\n"+forms[0].want || len(problems) != 1 || problems[0].Line != 4 || info.Lines != 7 {
		t.Errorf("%s %+v %v", got, info, problems)
	}
}

func TestErrorsEndReading(t *testing.T) {
	mine := errors.New("enough")
	n := 0
	_, _, err := Read(strings.NewReader(forms[0].text), "x", Auto, func(*exposure.Flow) error { n++; return mine })
	if !errors.Is(err, mine) || n != 1 {
		t.Errorf("%v after %d", err, n)
	}
	broken := io.MultiReader(strings.NewReader(forms[0].text), iotest.ErrReader(mine))
	n = 0
	info, _, err := Read(broken, "x", Auto, func(*exposure.Flow) error { n++; return nil })
	if !errors.Is(err, mine) || n != 3 || info.Flows != 3 {
		t.Errorf("%v after %d", err, n)
	}
	if _, _, err := Read(strings.NewReader(""), "x", "pcap", nil); err == nil || !strings.Contains(err.Error(), "zeek-json") {
		t.Error(err)
	}
}

func TestProblemsAreBounded(t *testing.T) {
	_, info, problems := readAll(t, forms[0].text+strings.Repeat("{\n", 5000), Auto)
	if len(problems) != MaxProblems || info.Unread != 5000 {
		t.Errorf("%d problems, %+v", len(problems), info)
	}
}

func TestManyOpenConnections(t *testing.T) {
	var b strings.Builder
	b.WriteString("ts,te,td,sa,da,sp,dp,pr,flg,ipkt,ibyt\n")
	const n = mostWaiting + 10
	for i := range n {
		fmt.Fprintf(&b, "2026-01-02 03:04:05,2026-01-02 03:04:06,1,10.%d.%d.%d,198.51.100.2,40000,443,TCP,,1,1\n", i>>16, i>>8&255, i&255)
	}
	flows := 0
	info, _, err := Read(strings.NewReader(b.String()), "", Auto, func(*exposure.Flow) error { flows++; return nil })
	if err != nil || info.Flows+info.Unread != n || len(info.Notes) != 1 {
		t.Errorf("%v %+v", err, info)
	}
}

func FuzzRead(f *testing.F) {
	for _, c := range forms {
		f.Add([]byte(c.text), Auto)
		f.Add([]byte(c.text), Log)
	}
	for _, name := range Formats() {
		f.Add([]byte("x\n"), name)
	}
	f.Fuzz(func(t *testing.T, b []byte, format string) {
		n := uint64(0)
		info, problems, err := Read(strings.NewReader(string(b)), "x", format, func(f *exposure.Flow) error {
			n++
			if !f.Client.IsValid() || !f.Server.IsValid() || f.Client.Is4In6() || f.Proto == "" {
				t.Fatalf("%+v", f)
			}
			return nil
		})
		if err == nil && (info.Flows != n || uint64(len(problems)) > info.Unread) {
			t.Fatalf("%d flows, %+v, %d problems", n, info, len(problems))
		}
	})
}

// flowsOf reads text and writes each flow in a word or two.
func flowsOf(t *testing.T, text string) (out []string) {
	t.Helper()
	_, problems, err := Read(strings.NewReader(text), "", Auto, func(f *exposure.Flow) error {
		out = append(out, fmt.Sprintf("%s %s>%s:%d %s", f.Proto, f.Client, f.Server, f.ServerPort, f.Answered))
		return nil
	})
	if err != nil || len(problems) > 0 {
		t.Fatalf("%v %v\n%s", err, problems, text)
	}
	slices.Sort(out)
	return out
}

// Whatever tool wrote it: the same two connections.
func TestFormsTellTheSame(t *testing.T) {
	const zeek = `{"ts":1772409600.5,"id.orig_h":"10.1.1.5","id.orig_p":40000,"id.resp_h":"10.2.2.2","id.resp_p":443,"proto":"tcp","conn_state":"SF"}`
	const zeekTSV = "#separator \\x7c\n#unset_field|NULL\n#path|conn\n#fields|conn_state|proto|id.resp_p|id.resp_h|id.orig_p|id.orig_h|ts|service\nSF|tcp|443|10.2.2.2|40000|10.1.1.5|1772409600.5|NULL\n"
	aws := "action dstport srcport dstaddr srcaddr protocol start end tcp-flags packets bytes\n" +
		"ACCEPT 443 40000 10.2.2.2 10.1.1.5 6 1772409600 1772409660 3 20 200\nACCEPT 40000 443 10.1.1.5 10.2.2.2 6 1772409600 1772409660 19 20 200\n"
	gcp := func(a string, ap int, b string, bp int) string {
		return fmt.Sprintf(`{"jsonPayload":{"connection":{"src_ip":%q,"src_port":%d,"dest_ip":%q,"dest_port":%d,"protocol":6},"bytes_sent":"100","packets_sent":"5","start_time":"2026-03-02T08:00:00Z"},"timestamp":"2026-03-02T08:00:06Z"}`+"\n", a, ap, b, bp)
	}
	nfdump := func(a string, ap int, b string, bp int) string {
		return fmt.Sprintf(`{"type":"FLOW","first":"2026-03-02T08:00:00.000","last":"2026-03-02T08:00:01.000","in_packets":5,"in_bytes":300,"proto":6,"tcp_flags":"...AP.SF","src_port":%d,"dst_port":%d,"src4_addr":%q,"dst4_addr":%q}`, ap, bp, a, b)
	}
	want := []string{"tcp 10.1.1.5>10.2.2.2:443 yes"}
	for name, text := range map[string]string{
		"zeek":              zeekTSV,
		"zeek json":         zeek,
		"array on a line":   "[" + zeek + "]",
		"array, pretty":     "[\n  " + strings.ReplaceAll(zeek, ",", ",\n    ") + "\n]\n",
		"array, one a line": "[" + zeek + "\n]\n",
		"time as text":      strings.Replace(zeek, "1772409600.5", `"2026-03-02T00:00:00.500Z"`, 1),
		"aws custom":        aws,
		"gcp":               gcp("10.1.1.5", 40000, "10.2.2.2", 443) + gcp("10.2.2.2", 443, "10.1.1.5", 40000),
		"nfdump json":       "[" + nfdump("10.2.2.2", 443, "10.1.1.5", 40000) + ",\n" + nfdump("10.1.1.5", 40000, "10.2.2.2", 443) + "]",
		"nfdump json-log":   nfdump("10.1.1.5", 40000, "10.2.2.2", 443) + "\n" + nfdump("10.2.2.2", 443, "10.1.1.5", 40000) + "\n",
	} {
		for end, text := range map[string]string{"": text, " CRLF": strings.ReplaceAll(text, "\n", "\r\n"), " BOM": "\ufeff" + text} {
			if got := flowsOf(t, text); !slices.Equal(got, want) {
				t.Errorf("%s%s: %q", name, end, got)
			}
		}
	}
	if got := flowsOf(t, zeekTSV+zeek+"\n"); len(got) != 2 || got[1] != want[0] {
		t.Errorf("both kinds in one file: %q", got)
	}
}

func TestArrayThatEndsEarly(t *testing.T) {
	for _, text := range []string{`[{"client":"10.0.0.1","server":"10.0.0.2","server_port":1,"proto":"tcp"},`, `[{"client":"10.0.0.1","server":"10.0.0.2","server_port":1,"proto":"tcp"}`, "[{\n\"client\":\"10.0.0.1\" \x00"} {
		info, _, err := Read(strings.NewReader(text), "x", Auto, func(*exposure.Flow) error { return nil })
		if err == nil || text[1] == '{' && text[2] == '"' && info.Flows != 1 {
			t.Errorf("%q: %v, %+v", text, err, info)
		}
	}
}
