package metainfo

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestNames runs testdata/names.txt.
func TestNames(t *testing.T) {
	f, err := os.Open("testdata/names.txt")
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
		in, want, portable := nameLine(t, s.Text())
		if got := appendElement("", in, false); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
		if got := appendElement("", in, true); got != portable {
			t.Errorf("%q became %q for Windows, want %q", in, got, portable)
		}
	}
	if n < 50 {
		t.Fatalf("only %d names were read", n)
	}
}

func nameLine(t *testing.T, line string) (in, want, portable string) {
	t.Helper()
	var out [3]string
	for i, col := range strings.SplitN(line, " | ", 3) {
		if col = strings.TrimSpace(col); col == "=" {
			out[i] = out[i-1]
			continue
		}
		s, err := strconv.Unquote(col)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		out[i] = s
	}
	return out[0], out[1], out[2]
}

// TestLongNames are cut, and a short extension stays.
func TestLongNames(t *testing.T) {
	x := strings.Repeat
	for _, c := range []struct{ in, want string }{
		{x("a", 239) + "b", x("a", 239) + "b"},
		{x("a", 300), x("a", 240)},
		{x("a", 300) + ".jpeg", x("a", 240) + ".jpeg"},
		{x("a", 300) + ".tar.gz", x("a", 240) + ".gz"},
		{x("a", 300) + ".verylongextension", x("a", 240)},
		{x("a", 238) + ".txt", x("a", 238) + ".txt"},
		{x("a", 232) + ".jpeg", x("a", 232) + ".jpeg"},
		{x("é", 300) + ".txt", x("é", 120) + ".txt"},
		{"a" + x("é", 300), "a" + x("é", 120)},
		{x("\xff", 300), x("_", 240)},
	} {
		if got := appendElement("", c.in, false); got != c.want {
			t.Errorf("%.20q... of %d bytes became %q", c.in, len(c.in), got)
		}
	}
}

func TestPath(t *testing.T) {
	p := CleanPath("a", "..", "b/c", "d.txt")
	if p.String() != "a/_/bc/d.txt" || p.Base() != "d.txt" || p.Dir().String() != "a/_/bc" || len(p.Elements()) != 4 {
		t.Errorf("got %q", p)
	}
	var zero Path
	if !zero.IsZero() || zero.Elements() != nil || zero.Dir() != zero || zero.Base() != "" || CleanPath() != zero {
		t.Error("the zero path is something")
	}
	if CleanPath("a").Dir() != zero || CleanPath("a").Base() != "a" {
		t.Error("a path of one element has a folder")
	}
	if zero.Join(p) != p || p.Join(zero) != p || CleanPath("a").Join(CleanPath("b")) != CleanPath("a", "b") {
		t.Error("join")
	}
}

// TestParsePath: what a journal says must be what a Path said.
func TestParsePath(t *testing.T) {
	for _, s := range []string{"a", "a/b", "_", "...", "a b/c.txt", strings.Repeat("a", 255)} {
		if p, err := ParsePath(s); err != nil || p.String() != s {
			t.Errorf("%q: %q %v", s, p, err)
		}
	}
	for _, s := range []string{"", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "a\\b", "a\x00", "\xff", "a\u202eb", strings.Repeat("a", 256)} {
		if p, err := ParsePath(s); CodeOf(err) != InvalidName || !p.IsZero() {
			t.Errorf("%q was accepted: %v", s, err)
		}
	}
}

func TestPathJSON(t *testing.T) {
	in := map[string]Path{"p": CleanPath("a", "b"), "zero": {}}
	raw, err := json.Marshal(in)
	if err != nil || string(raw) != `{"p":"a/b","zero":""}` {
		t.Fatalf("%s %v", raw, err)
	}
	var out map[string]Path
	if err := json.Unmarshal(raw, &out); err != nil || out["p"] != in["p"] || !out["zero"].IsZero() {
		t.Fatalf("%v %v", out, err)
	}
	if err := json.Unmarshal([]byte(`{"p":"../x"}`), &out); err == nil {
		t.Fatal("a hostile path was read")
	}
}

// FuzzPath: whatever a torrent says, the path is local, printable, no longer than
// file systems allow, and reads back.
func FuzzPath(f *testing.F) {
	for _, s := range []string{"a", "../..", "/etc", "C:\\x", "a\x00b", "\xff\xc0", strings.Repeat("é", 200) + ".txt", "COM1", "\u202e"} {
		f.Add(s, s, true)
	}
	f.Fuzz(func(t *testing.T, a, b string, portable bool) {
		p := Path{appendElement(appendElement("", a, portable), b, portable)}
		if !filepath.IsLocal(filepath.FromSlash(p.String())) || len(p.Elements()) != 2 || !utf8.ValidString(p.String()) {
			t.Fatalf("%q %q became %q", a, b, p)
		}
		if again, err := ParsePath(p.String()); err != nil || again != p {
			t.Fatalf("%q does not read back: %v", p, err)
		}
		if again := appendElement(appendElement("", p.Elements()[0], portable), p.Elements()[1], portable); again != p.String() {
			t.Fatalf("%q changes again to %q", p, again)
		}
	})
}
