package units

import "strings"

// specifiers expands the specifiers of systemd.unit(5) that the unit's name
// alone decides. False when the value holds another one: only the running
// manager knows what it stands for.
func specifiers(value, name string) (string, bool) {
	if !strings.Contains(value, "%") {
		return value, true
	}
	prefix, instance, _ := splitTemplate(name)
	stem := strings.TrimSuffix(name, ".socket")
	known := map[byte]string{
		'n': name, 'N': stem, 'i': instance, 'I': unescape(instance), 'p': prefix, 'P': unescape(prefix),
		'j': afterDash(prefix), 'J': unescape(afterDash(prefix)), '%': "%",
	}
	var b strings.Builder
	for i := 0; i < len(value); i++ {
		if value[i] != '%' || i+1 == len(value) {
			b.WriteByte(value[i])
			continue
		}
		text, ok := known[value[i+1]]
		if !ok {
			if isLetter(value[i+1]) {
				return "", false
			}
			text = value[i : i+2]
		}
		b.WriteString(text)
		i++
	}
	return b.String(), true
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

func afterDash(s string) string { return s[strings.LastIndexByte(s, '-')+1:] }

// unescape undoes systemd-escape(1): "-" stands for "/", "\\x2d" for "-".
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '-':
			b.WriteByte('/')
		case i+3 < len(s) && s[i] == '\\' && s[i+1] == 'x' && hexDigit(s[i+2]) >= 0 && hexDigit(s[i+3]) >= 0:
			b.WriteByte(byte(hexDigit(s[i+2])<<4 | hexDigit(s[i+3])))
			i += 3
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

func hexDigit(c byte) int { return strings.IndexByte("0123456789abcdef", c) }
