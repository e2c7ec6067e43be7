package document

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"pgregory.net/rapid"
)

// plain gives a node as encoding/json gives a value.
func plain(n *Node) any {
	switch n.Kind() {
	case Bool:
		return n.True()
	case Number:
		return json.Number(n.Text())
	case String:
		return n.Text()
	case List:
		out := []any{}
		for v := range n.Items() {
			out = append(out, plain(v))
		}
		return out
	case Map:
		out := map[string]any{}
		for k, v := range n.Fields() {
			out[k] = plain(v)
		}
		return out
	}
	return nil
}

func drawValue(t *rapid.T, depth int) any {
	kinds := 5
	if depth == 0 {
		kinds = 3
	}
	switch rapid.IntRange(0, kinds).Draw(t, "kind") {
	case 0:
		return nil
	case 1:
		return rapid.Bool().Draw(t, "bool")
	case 2:
		return json.Number(fmt.Sprint(rapid.Int32().Draw(t, "number")))
	case 3:
		return rapid.StringMatching(`[a-z"\\:\-#\n é{}]{0,6}`).Draw(t, "text")
	case 4:
		list := []any{}
		for range rapid.IntRange(0, 3).Draw(t, "items") {
			list = append(list, drawValue(t, depth-1))
		}
		return list
	}
	m := map[string]any{}
	for range rapid.IntRange(0, 3).Draw(t, "fields") {
		m[rapid.StringMatching(`[a-z]{1,3}`).Draw(t, "key")] = drawValue(t, depth-1)
	}
	return m
}

// The tree holds what encoding/json reads, from JSON and from YAML.
func TestTreeIsTheValue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := map[string]any{"x": drawValue(t, 3)}
		text, err := json.MarshalIndent(want, "", rapid.SampledFrom([]string{"", " ", "\t"}).Draw(t, "indent"))
		if err != nil {
			t.Fatal(err)
		}
		docs, err := JSON(append(text, text...))
		if err != nil || len(docs) != 2 || !reflect.DeepEqual(plain(docs[0]), any(want)) || !reflect.DeepEqual(plain(docs[1]), any(want)) {
			t.Fatalf("%v %#v, want %#v", err, plain(docs[0]), want)
		}
		yml, err := yaml.JSONToYAML(text)
		if err != nil {
			t.Skip("the library cannot write it")
		}
		var back any
		if yaml.Unmarshal(yml, &back) != nil {
			t.Skip("the library cannot read what it wrote")
		}
		n, err := Part{Text: yml, Line: 1}.Node()
		if err != nil || fmt.Sprint(plain(n)) != fmt.Sprint(back) && !strings.ContainsAny(string(yml), `"'|>`) {
			t.Fatalf("%v %v, want %v\n%s", err, plain(n), back, yml)
		}
	})
}

func TestPlaces(t *testing.T) {
	docs, err := JSON([]byte("{\n \"a\": [1,\n   \"é\", {\"b\": null}]\n}\n [true]"))
	if err != nil || len(docs) != 2 {
		t.Fatal(err)
	}
	at := func(n *Node) string { return fmt.Sprintf("%d:%d", n.Line(), n.Column()) }
	list := docs[0].Get("a")
	var got []string
	for v := range list.Items() {
		got = append(got, at(v))
	}
	got = append(got, at(list), at(docs[1]), at(docs[0].At("nothing", "below")))
	if s := strings.Join(got, " "); s != "2:8 3:4 3:10 2:7 5:2 0:0" {
		t.Error(s)
	}
	parts := Parts([]byte("# c\na: 1\n---\nb:\n  c: [x,\n    y]\n...\n---  # d\nitems:\n- e: 1\n  f: |\n    - g\n# h\n- i\nkind: k\n"))
	if len(parts) != 3 {
		t.Fatal(len(parts))
	}
	n, err := parts[1].Node()
	if err != nil || at(n.At("b", "c")) != "5:6" || n.At("b", "c").Texts()[1] != "y" {
		t.Error(err, at(n.At("b", "c")))
	}
	head, items, ok := parts[2].Items("items")
	if !ok || len(items) != 2 || head.Entry("kind") != "k" {
		t.Fatal(ok, len(items), string(head.Text))
	}
	first, err := items[0].Node()
	if err != nil || first.Get("f").Text() != "- g\n" || first.Get("e").Line() != 10 {
		t.Error(err, first.Get("f").Text(), first.Get("e").Line())
	}
	second, err := items[1].Node()
	if err != nil || second.Text() != "i" || second.Line() != 14 {
		t.Error(err, second.Text(), second.Line())
	}
}

func TestErrorsSayWhere(t *testing.T) {
	for text, want := range map[string]string{
		"{\"a\": 1,\n  x}":                   "line 2, column 3",
		"[1, 2":                              "line 1, column 6: ends in the middle",
		strings.Repeat("[", 200):             "line 1, column 101: nested too deep",
		"{\"a\":\n" + strings.Repeat(" ", 5): "ends in the middle",
		"{} {\"a\" 1}":                       "line 1, column",
	} {
		_, err := JSON([]byte(text))
		var at *Error
		if !errors.As(err, &at) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v, want %s", text, err, want)
		}
	}
	for text, want := range map[string]string{"a: [1\nb: 2": "line", "a: *x": "line 7, column 4: an alias without an anchor", "a:\n  - b\n c: d": "line"} {
		_, err := Part{Text: []byte(text), Line: 7}.Node()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestAliases(t *testing.T) {
	n, err := Part{Text: []byte("a: &x {b: 1, c: 2}\nd: *x\ne: {<<: *x, c: 3}\n"), Line: 1}.Node()
	if err != nil || n.At("d", "b").Text() != "1" || n.At("e", "b").Text() != "1" || n.At("e", "c").Text() != "3" {
		t.Error(err, plain(n))
	}
}

func TestUTF16(t *testing.T) {
	for _, b := range []string{"\xff\xfe[\x00\"\x00\x3d\xd8\x00\xde\"\x00]\x00", "\xfe\xff\x00[\x00\"\xd8\x3d\xde\x00\x00\"\x00]", "\xef\xbb\xbf[\"😀\"]"} {
		data, err := Bytes(strings.NewReader(b))
		if err != nil || string(data) != `["😀"]` {
			t.Errorf("%q %v", data, err)
		}
	}
	if data, _ := Bytes(strings.NewReader("a\xffb")); string(data) != "a\uFFFDb" {
		t.Errorf("%q", data)
	}
}

func TestScalars(t *testing.T) {
	docs, err := JSON([]byte(`{"a":"22","b":22.0,"c":2.5,"d":"x","e":1e3,"f":99999999999,"g":"TRUE","H":null,"a":"23"}`))
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"a": "23 true", "b": "22 true", "c": "0 false", "d": "0 false", "e": "1000 true", "f": "0 false", "z": "0 false"} {
		n, ok := docs[0].Get(key).Int()
		if got := fmt.Sprint(n, ok); got != want {
			t.Errorf("%s: %s, want %s", key, got, want)
		}
	}
	if !docs[0].Get("g").True() || docs[0].Fold("h").Kind() != Null || docs[0].Get("h").Kind() != Missing || docs[0].Get("a").Kind().String() != "text" {
		t.Error("true, null or missing")
	}
}

// However it is nested, it is read or refused: nothing hangs or overflows.
func TestHostileEnds(t *testing.T) {
	for _, unit := range []string{"[", "{a: ", "- ", "? ", "a: ", "&a ", "!!a ", "'", "\"", "a: '", "- [", "-\n ", "a:\n- ", "|\n", "{", "[{", "*a ", ": ", ", ", "a: \"b: ", "[\n", "{a:\n"} {
		text := strings.Repeat(unit, 30_000/len(unit))
		n, err := Part{Text: []byte(text), Line: 1}.Node()
		if (n == nil) == (err == nil) {
			t.Errorf("%q: neither a value nor an error", unit)
		}
	}
}

func FuzzYAML(f *testing.F) {
	for _, s := range []string{"a: &x [1, {b: *x}]\n---\n- |\n  c\n- >-\n  d\n", "? a\n: !!b c\n<<: {d: e}\n", "items:\n- a\n -b\n- 'c\n  d'\n...\n%YAML 1.2\n---\n", "{a: [b, \"c\\n\"], 'd': ~}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		data, err := Bytes(strings.NewReader(string(data)))
		if err != nil {
			return
		}
		for _, p := range Parts(data) {
			_, items, _ := p.Items("items")
			for _, q := range append(items, p) {
				if n, err := q.Node(); err == nil {
					_ = plain(n)
				} else if at := new(Error); !errors.As(err, &at) || at.Line < 1 {
					t.Errorf("no place: %v", err)
				}
			}
		}
	})
}

func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"a":[1,-2.5e3,"\u00e9",null,true,{}],"b":{"c":[]}} [] "x"`))
	f.Add([]byte(`{"a":1,}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		docs, err := JSON(data)
		valid := json.Valid(data)
		if valid && (err != nil && !errors.Is(err, errDepth) || err == nil && len(docs) != 1) {
			t.Errorf("%v %d", err, len(docs))
		}
	})
}
