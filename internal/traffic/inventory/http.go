package inventory

import "strings"

// refine adds to a finding what its protocol's headers tell.
func refine(f finding, h *heard) finding {
	if f.service != "http" {
		return f
	}
	request, answer := latin(h.client), latin(h.server)
	var detail []string
	if host := header(request, "host"); host != "" {
		detail = append(detail, "host "+unlatin([]byte(host)))
	}
	if f.detail != "" {
		detail = append(detail, f.detail)
	}
	if strings.EqualFold(header(request, "upgrade"), "websocket") {
		detail = append(detail, "websocket")
	}
	if server := unlatin([]byte(header(answer, "server"))); server != "" {
		f.product, f.version = splitProduct(server)
		f.score = exactly
	}
	f.more = f.score == told && !strings.Contains(answer, "\r\n\r\n") && len(answer) < maxSide
	f.detail = strings.Join(detail, " ")
	return f
}

// splitProduct takes "nginx/1.18.0 (Ubuntu)" apart.
func splitProduct(server string) (product, version string) {
	product, rest, _ := strings.Cut(server, "/")
	version, _, _ = strings.Cut(rest, " ")
	return product, version
}

// header is the value of a header field in the first bytes of a message; of a
// line that has no end yet, nothing.
func header(message, name string) string {
	message = message[:max(0, strings.LastIndex(message, "\r\n"))]
	for line := range strings.SplitSeq(message, "\r\n") {
		if line == "" {
			return ""
		}
		key, value, ok := strings.Cut(line, ":")
		if ok && strings.EqualFold(key, name) {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
