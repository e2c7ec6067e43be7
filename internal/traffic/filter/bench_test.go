package filter

import "testing"

func BenchmarkMatch(b *testing.B) {
	for name, expr := range map[string]string{"port": "tcp port 443", "hosts": "host 192.0.2.1 and (port 80 or port 443)", "flags": "tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn"} {
		p := mustCompile(b, expr, Options{Link: linkEthernet})
		ps := packets(linkEthernet, 1, 1000)
		b.Run(name, func(b *testing.B) {
			for i := range b.N {
				q := &ps[i%len(ps)]
				p.Match(q.data, q.wire, q.meta)
			}
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	for range b.N {
		mustCompile(b, "host 192.0.2.1 and (port 80 or port 443)", Options{Link: linkEthernet})
	}
}
