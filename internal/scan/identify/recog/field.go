package recog

import "strings"

// sshSoftware is what follows SSH-2.0- in the identification line (RFC 4253,
// section 4.2), before which a server may send other lines.
func sshSoftware(answer string) []string {
	for line := range strings.Lines(answer) {
		if rest, ok := strings.CutPrefix(line, "SSH-"); ok {
			_, software, _ := strings.Cut(rest, "-")
			return []string{strings.TrimRight(software, "\r\n")}
		}
	}
	return nil
}

// replyTexts are the texts of a reply with a code before every line, as SMTP,
// FTP and NNTP have it (RFC 5321, section 4.2): all lines together, then, where
// there are several, each.
func replyTexts(answer string) []string {
	var lines []string
	for line := range strings.Lines(answer) {
		if len(lines) == maxParts {
			break
		}
		line = strings.TrimRight(line, "\r\n")
		if len(line) >= 4 && strings.Trim(line[:3], "0123456789") == "" && (line[3] == ' ' || line[3] == '-') {
			line = line[4:]
		}
		lines = append(lines, line)
	}
	if len(lines) < 2 {
		return lines
	}
	return append([]string{strings.Join(lines, "\r\n")}, lines...)
}

// withoutTelnet leaves out the negotiation of TELNET (RFC 854): IAC and its
// command, with an option where it has one.
func withoutTelnet(answer string) string {
	const iac, will, se, sb = 0xff, 0xfb, 0xf0, 0xfa
	var b strings.Builder
	for i := 0; i < len(answer); i++ {
		if answer[i] != iac || i+1 >= len(answer) {
			b.WriteByte(answer[i])
			continue
		}
		i++
		switch command := answer[i]; {
		case command == iac:
			b.WriteByte(iac)
		case command == sb:
			end := strings.Index(answer[i:], string([]byte{iac, se}))
			if end < 0 {
				return b.String()
			}
			i += end + 1
		case command >= will:
			i++
		}
	}
	return b.String()
}

// mysqlVersion is the server version of an initial handshake packet: after a
// header of four bytes, protocol version 10 and a text ended by zero.
func mysqlVersion(answer string) (string, bool) {
	if len(answer) < 6 || answer[3] != 0 || answer[4] != 10 {
		return "", false
	}
	version, _, ended := strings.Cut(answer[5:], "\x00")
	return version, ended && version != ""
}

// mysqlError is the text of an error packet: 0xff and two bytes of code after
// the header, before 4.1 without the SQL state that # begins.
func mysqlError(answer string) []string {
	if len(answer) < 8 || answer[4] != 0xff {
		return nil
	}
	text := answer[7:]
	if text[0] == '#' && len(text) > 6 {
		text = text[6:]
	}
	return []string{text}
}

// headers are the values of a header of an HTTP, RTSP or SIP answer.
func headers(answer, name string) []string {
	head, _, _ := strings.Cut(answer, "\r\n\r\n")
	var values []string
	for line := range strings.Lines(head) {
		key, value, found := strings.Cut(line, ":")
		if found && strings.EqualFold(strings.TrimSpace(key), name) && len(values) < maxParts {
			values = append(values, strings.TrimSpace(value))
		}
	}
	return values
}

// title is the text of the title element of a page.
func title(answer string) []string {
	_, body, _ := strings.Cut(answer, "\r\n\r\n")
	low := asciiLower(body)
	start := strings.Index(low, "<title")
	if start < 0 {
		return nil
	}
	open := strings.IndexByte(low[start:], '>')
	if open < 0 {
		return nil
	}
	start += open + 1
	end := strings.Index(low[start:], "</title")
	if end < 0 {
		return nil
	}
	return []string{strings.TrimSpace(body[start : start+end])}
}

// asciiLower keeps every byte where it is, which strings.ToLower does not.
func asciiLower(s string) string {
	low := []byte(s)
	for i, c := range low {
		if c >= 'A' && c <= 'Z' {
			low[i] = c + 'a' - 'A'
		}
	}
	return string(low)
}
