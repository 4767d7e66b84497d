package bencode

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestInputs runs testdata/inputs.txt, which says what both modes accept.
func TestInputs(t *testing.T) {
	f, err := os.Open("testdata/inputs.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n := 0
	for s := bufio.NewScanner(f); s.Scan(); {
		if strings.HasPrefix(s.Text(), "#") {
			continue
		}
		n++
		runInput(t, s.Text())
	}
	if n < 50 {
		t.Fatalf("only %d inputs were read", n)
	}
}

func runInput(t *testing.T, line string) {
	t.Helper()
	part := strings.Split(line, " | ")
	in, err := strconv.Unquote(strings.TrimSpace(part[0]))
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	strict, tolerant := strings.TrimSpace(part[1]), strings.TrimSpace(part[2])
	if tolerant == "=" {
		tolerant = strict
	}
	if got := verdict(in, true); got != strict {
		t.Errorf("strict %q: got %q, want %q", in, got, strict)
	}
	if got := verdict(in, false); got != tolerant {
		t.Errorf("tolerant %q: got %q, want %q", in, got, tolerant)
	}
}

func verdict(in string, strict bool) string {
	v, err := Parse([]byte(in), Options{Strict: strict})
	if err != nil {
		return err.Error()
	}
	if string(v.Raw()) != in {
		return "raw is " + string(v.Raw())
	}
	return "ok"
}

// TestTokens follows the tokens of one dictionary.
func TestTokens(t *testing.T) {
	tok := NewTokenizer([]byte("d3:cowl3:mooi-7ee4:spamdee"), Options{Strict: true})
	want := []struct {
		kind Kind
		key  bool
		off  int
		text string
	}{
		{Dict, false, 0, ""}, {String, true, 1, "cow"}, {List, false, 6, ""}, {String, false, 7, "moo"},
		{Int, false, 12, "-7"}, {End, false, 16, ""}, {String, true, 17, "spam"}, {Dict, false, 23, ""},
		{End, false, 24, ""}, {End, false, 25, ""},
	}
	for i, w := range want {
		if tok.Done() {
			t.Fatalf("done before token %d", i)
		}
		got, err := tok.Next()
		if err != nil || got.Kind != w.kind || got.Key != w.key || got.Off != w.off || string(got.Text) != w.text {
			t.Fatalf("token %d: got %+v %v, want %+v", i, got, err, w)
		}
	}
	if !tok.Done() || tok.Offset() != 26 || tok.Depth() != 0 {
		t.Fatalf("after the last token: done %v, offset %d, depth %d", tok.Done(), tok.Offset(), tok.Depth())
	}
}

// TestTokenizerValue takes whole values out of the middle of a walk.
func TestTokenizerValue(t *testing.T) {
	tok := NewTokenizer([]byte("d1:ad1:xi1ee1:bli1ei2eee"), Options{})
	tok.Next() // the dictionary
	for _, want := range []string{"d1:xi1ee", "li1ei2ee"} {
		if key, err := tok.Next(); err != nil || !key.Key {
			t.Fatalf("expected a key, got %+v %v", key, err)
		}
		if v, err := tok.Value(); err != nil || string(v.Raw()) != want {
			t.Fatalf("got %q %v, want %q", v.Raw(), err, want)
		}
	}
	if end, err := tok.Next(); err != nil || end.Kind != End || !tok.Done() {
		t.Fatalf("expected the end, got %+v %v", end, err)
	}
}

// TestPrefix: a message of BEP 9 is a dictionary and then bytes of metadata.
func TestPrefix(t *testing.T) {
	msg := []byte("d8:msg_typei1e5:piecei0e10:total_sizei34256eexxxxxxxx...")
	v, rest, err := ParsePrefix(msg, Options{Strict: true})
	if err != nil || string(rest) != "xxxxxxxx..." {
		t.Fatalf("rest %q, error %v", rest, err)
	}
	if n, ok := v.Get("total_size").Int(); !ok || n != 34256 {
		t.Fatalf("total_size is %d %v", n, ok)
	}
}

func TestLimits(t *testing.T) {
	for _, c := range []struct {
		name string
		in   string
		lim  Limits
		want Code
	}{
		{"three levels fit", "llee", Limits{Depth: 3}, 0},
		{"three levels do not fit in two", "llee", Limits{Depth: 2}, TooDeep},
		{"a scalar is a level", "li1ee", Limits{Depth: 1}, TooDeep},
		{"a scalar alone is one", "i1e", Limits{Depth: 1}, 0},
		{"ends are tokens", "lllleeee", Limits{Tokens: 8}, 0},
		{"one token too many", "lllleeee", Limits{Tokens: 7}, TooMany},
		{"size fits", "4:spam", Limits{Size: 6}, 0},
		{"size does not fit", "4:spam", Limits{Size: 5}, TooBig},
		{"default depth is 100", strings.Repeat("l", 99) + strings.Repeat("e", 99), Limits{}, 0},
		{"default depth is not more", strings.Repeat("l", 100) + strings.Repeat("e", 100), Limits{}, TooDeep},
	} {
		_, err := Parse([]byte(c.in), Options{Limits: c.lim})
		if got := codeOf(err); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
}

func codeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}

// TestBombs: what is small to send must be cheap to refuse.
func TestBombs(t *testing.T) {
	for name, in := range map[string][]byte{
		"a million levels":       bytes.Repeat([]byte("l"), 1e6),
		"a million dictionaries": bytes.Repeat([]byte("d1:a"), 1e6),
		"ten million lists":      append(append([]byte("l"), bytes.Repeat([]byte("le"), 1e7)...), 'e'),
		"ten million strings":    append(append([]byte("l"), bytes.Repeat([]byte("0:"), 1e7)...), 'e'),
		"a string of 2^62":       []byte("4611686018427387904:"),
		"a string of 2^63":       []byte("9223372036854775808:"),
		"an endless integer":     append([]byte("i"), bytes.Repeat([]byte("9"), 1e6)...),
		"an endless length":      bytes.Repeat([]byte("9"), 1e6),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := time.Now()
		_, err := Parse(in, Options{})
		took := time.Since(start)
		runtime.ReadMemStats(&after)
		if err == nil {
			t.Errorf("%s: was accepted", name)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 64<<10 {
			t.Errorf("%s: took %d bytes of memory", name, used)
		}
		if took > time.Minute { // a guard against quadratic work only, which would take hours
			t.Errorf("%s: took %v", name, took)
		}
	}
}

// TestNoAllocation: reading a usual message allocates at most the frames.
func TestNoAllocation(t *testing.T) {
	msg := []byte("d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe")
	var id []byte
	got := testing.AllocsPerRun(100, func() {
		v, _ := Parse(msg, Options{Strict: true})
		id, _ = v.Get("a").Get("id").Bytes()
	})
	if got > 3 || string(id) != "abcdefghij0123456789" {
		t.Fatalf("%v allocations, id %q", got, id)
	}
}

func BenchmarkParse(b *testing.B) {
	file := benchFile(b)
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(file, Options{Strict: true}); err != nil {
			b.Fatal(err)
		}
	}
}

// benchFile is like a torrent of 10,000 files.
func benchFile(b *testing.B) []byte {
	files := L{}
	for i := range 10000 {
		files = append(files, M{"length": i, "path": L{"folder", "name" + strconv.Itoa(i)}})
	}
	out, err := Encode(M{"info": M{"files": files, "pieces": strings.Repeat("x", 200000)}})
	if err != nil {
		b.Fatal(err)
	}
	return out
}
