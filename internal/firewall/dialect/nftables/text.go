package nftables

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

func joinWords(words []string) string {
	var out []string
	for _, w := range words {
		if w != "" {
			out = append(out, w)
		}
	}
	return strings.Join(out, " ")
}

// statementText writes a statement as nft would, or its JSON where that is
// all there is to say. Counters say nothing.
func statementText(kind string, arg any) string {
	o, _ := arg.(object)
	switch kind {
	case "counter":
		return ""
	case "match":
		return matchText(o)
	case "vmap":
		return exprText(o["key"]) + " vmap " + exprText(o["data"])
	case "jump", "goto":
		return kind + " " + text(o["target"])
	case "log":
		if p := text(o["prefix"]); p != "" {
			return "log prefix " + strconv.Quote(p)
		}
		return "log"
	case "reject":
		return rejectText(o)
	case "dnat", "redirect", "tproxy", "snat", "masquerade":
		return natText(kind, o)
	case "mangle":
		return exprText(o["key"]) + " set " + exprText(o["value"])
	case "xt":
		return text(o["type"]) + " " + text(o["name"])
	}
	return otherText(kind, arg)
}

func otherText(kind string, arg any) string {
	o, _ := arg.(object)
	switch kind {
	case "limit":
		return limitText(arg)
	case "ct count":
		return "ct count " + over(o) + text(o["val"])
	case "quota":
		return "quota " + over(o) + text(o["val"]) + " " + text(o["val_unit"])
	case "meter":
		return "meter " + text(o["name"]) + " { " + exprText(o["key"]) + " " + innerText(o["stmt"]) + " }"
	case "set":
		return text(o["op"]) + " " + text(o["set"]) + " { " + joinWords([]string{exprText(o["elem"]), innerText(o["stmt"])}) + " }"
	case "queue":
		return "queue num " + exprText(o["num"])
	case "synproxy", "notrack", "accept", "drop", "return", "continue":
		return kind
	}
	if arg == nil {
		return kind
	}
	return kind + " " + compact(arg)
}

func innerText(stmts any) string {
	var words []string
	for _, s := range list(stmts) {
		o, _ := s.(object)
		for kind, arg := range o {
			words = append(words, statementText(kind, arg))
		}
	}
	return joinWords(words)
}

func over(o object) string {
	if o["inv"] == true {
		return "over "
	}
	return ""
}

func limitText(arg any) string {
	o, ok := arg.(object)
	if !ok {
		return "limit name " + text(arg)
	}
	unit := ""
	if u := text(o["rate_unit"]); u != "" && u != "packets" {
		unit = " " + u
	}
	return "limit rate " + over(o) + text(o["rate"]) + unit + "/" + text(o["per"])
}

func rejectText(o object) string {
	switch t := text(o["type"]); {
	case t == "":
		return "reject"
	case o["expr"] == nil:
		return "reject with " + t
	default:
		return "reject with " + t + " " + text(o["expr"])
	}
}

func natText(kind string, o object) string {
	s := kind
	if f := text(o["family"]); f != "" {
		s += " " + f
	}
	addr, port := o["addr"], o["port"]
	switch {
	case addr != nil && port != nil:
		a := exprText(addr)
		if strings.Contains(a, ":") {
			a = "[" + a + "]"
		}
		return s + " to " + a + ":" + exprText(port)
	case addr != nil:
		return s + " to " + exprText(addr)
	case port != nil:
		return s + " to :" + exprText(port)
	}
	return s
}

func matchText(o object) string {
	left, right, op := exprText(o["left"]), exprText(o["right"]), text(o["op"])
	switch op {
	case "==", "in", "":
		return left + " " + right
	}
	return left + " " + op + " " + right
}

// exprText writes a value as nft would.
func exprText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		if v {
			return "exists"
		}
		return "missing"
	case []any:
		return strings.Join(texts(v), ",")
	case object:
		for kind, arg := range v {
			return objectText(kind, arg)
		}
	}
	return fmt.Sprint(v)
}

func texts(list []any) []string {
	out := make([]string, len(list))
	for i, e := range list {
		out[i] = exprText(e)
	}
	return out
}

// mostElements bounds what is shown of a set.
const mostElements = 8

func objectText(kind string, arg any) string {
	o, _ := arg.(object)
	l, _ := arg.([]any)
	switch kind {
	case "payload":
		if o["base"] != nil {
			return "@" + text(o["base"]) + "," + text(o["offset"]) + "," + text(o["len"])
		}
		return text(o["protocol"]) + " " + text(o["field"])
	case "meta":
		return metaText(text(o["key"]))
	case "ct":
		return joinWords([]string{"ct", text(o["dir"]), text(o["key"])})
	case "fib":
		return "fib " + strings.Join(texts(list(o["flags"])), " . ") + " " + text(o["result"])
	case "range":
		return strings.Join(texts(l), "-")
	case "prefix":
		return exprText(o["addr"]) + "/" + text(o["len"])
	case "concat":
		return strings.Join(texts(l), " . ")
	case "set":
		return setText(list(arg))
	case "elem":
		return exprText(o["val"])
	case "map":
		return exprText(o["key"]) + " map " + exprText(o["data"])
	case "&", "|", "^", "<<", ">>":
		return "(" + strings.Join(texts(l), " "+kind+" ") + ")"
	}
	return rareText(kind, arg)
}

// rareText writes expressions that few rules hold.
func rareText(kind string, arg any) string {
	o, _ := arg.(object)
	switch kind {
	case "socket", "rt", "ipsec", "osf":
		return kind + " " + text(o["key"])
	case "numgen":
		return "numgen " + text(o["mode"]) + " mod " + text(o["mod"])
	case "jhash", "symhash":
		return joinWords([]string{kind, exprText(o["expr"]), "mod", text(o["mod"])})
	case "ip option", "tcp option", "exthdr":
		return joinWords([]string{kind, text(o["name"]), text(o["field"])})
	}
	return statementText(kind, arg)
}

// metaText leaves out "meta" where nft does.
func metaText(key string) string {
	switch key {
	case "iif", "oif", "iifname", "oifname", "iifgroup", "oifgroup":
		return key
	}
	return "meta " + key
}

func setText(elems []any) string {
	var out []string
	for i, e := range elems {
		if i == mostElements {
			out = append(out, fmt.Sprintf("… %d more", len(elems)-i))
			break
		}
		if pair, ok := e.([]any); ok && len(pair) == 2 {
			out = append(out, exprText(pair[0])+" : "+exprText(pair[1]))
			continue
		}
		out = append(out, exprText(e))
	}
	return "{ " + strings.Join(out, ", ") + " }"
}
