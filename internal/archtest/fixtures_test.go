package archtest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
)

// TestFixtures is the test of the test: each file of testdata holds a small source
// tree, and says beside each line that breaks a rule what must be reported there:
//
//	go f() // want: handlers: go statement
//
// or, for several, with " | " between them. All rules run over each tree. What is not wanted must not be reported.
func TestFixtures(t *testing.T) {
	names, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(names) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) {
			raw, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			runFixture(t, string(raw))
		})
	}
}

func runFixture(t *testing.T, text string) {
	files := splitFiles(text)
	if len(files) == 0 {
		t.Fatal("no files in the fixture")
	}
	got := problemsOf(t, files)
	for _, want := range wantedIn(files) {
		i := slices.IndexFunc(got, func(p Problem) bool { return want.matches(p) })
		if i < 0 {
			t.Errorf("%s:%d: nothing reported, want %q", want.file, want.line, want.text)
			continue
		}
		got = slices.Delete(got, i, i+1)
	}
	for _, p := range got {
		t.Errorf("unexpected: %s", p)
	}
}

// problemsOf runs all rules over a source tree.
func problemsOf(t *testing.T, files fstest.MapFS) []Problem {
	t.Helper()
	tree, err := Load(files)
	if err != nil {
		t.Fatal(err)
	}
	exports, err := fixtureExports()
	if err != nil {
		t.Fatal(err)
	}
	tree.Check(exports)
	var out []Problem
	for _, r := range rules {
		out = append(out, r.run(tree)...)
	}
	return out
}

// fixtureExports has what the fixtures import, asked for once.
var fixtureExports = sync.OnceValues(func() (Exports, error) {
	return FindExports(".", "context", "crypto/rand", "maps", "math/rand/v2", "net", "os", "slices", "sync", "sync/atomic", "time")
})

// wanted is one expectation of a fixture.
type wanted struct {
	file string
	line int
	text string // "rule: part of the message"
}

func (w wanted) matches(p Problem) bool {
	rule, part, _ := strings.Cut(w.text, ": ")
	return p.Pos.Filename == w.file && p.Pos.Line == w.line && p.Rule == rule && strings.Contains(p.Text, part)
}

func wantedIn(files fstest.MapFS) []wanted {
	var out []wanted
	for name, f := range files {
		for i, line := range strings.Split(string(f.Data), "\n") {
			if _, text, ok := strings.Cut(line, "// want: "); ok {
				for text := range strings.SplitSeq(text, " | ") {
					out = append(out, wanted{name, i + 1, strings.TrimSpace(text)})
				}
			}
		}
	}
	return out
}

// splitFiles cuts "-- name --" sections; the text before the first is a comment.
func splitFiles(text string) fstest.MapFS {
	files := fstest.MapFS{}
	var name string
	var body strings.Builder
	flush := func() {
		if name != "" {
			files[name] = &fstest.MapFile{Data: []byte(body.String())}
		}
		body.Reset()
	}
	for line := range strings.Lines(text) {
		if s, ok := strings.CutPrefix(strings.TrimSpace(line), "-- "); ok && strings.HasSuffix(s, " --") {
			flush()
			name = strings.TrimSuffix(s, " --")
			continue
		}
		body.WriteString(line)
	}
	flush()
	return files
}

// TestLimits shows the length rules at their edges.
func TestLimits(t *testing.T) {
	lines := func(n int, s string) string { return strings.Repeat(s, n) }
	const head = "// Package wire is a fixture.\npackage wire\n\n"
	cases := []struct {
		name, body string
		want       string
	}{
		{"longest function", "func f() {\n" + lines(maxFuncLines-2, "\tprint()\n") + "}\n", ""},
		{"function too long", "func f() {\n" + lines(maxFuncLines-1, "\tprint()\n") + "}\n", "func f has 61 lines"},
		{"long dispatch", "func f(n int) {\n\tswitch n {\n" + lines(80, "\tcase 1:\n") + "\t}\n}\n", ""},
		{"switch among much else", "func f(n int) {\n" + lines(40, "\tprint()\n") + "\tswitch n {\n" +
			lines(40, "\tcase 1:\n") + "\t}\n}\n", "func f has 84 lines"},
		{"longest file", lines(maxFileLines-4, "// x\n"), ""},
		{"file too long", lines(maxFileLines-2, "// x\n"), fmt.Sprintf("soft limit %d", maxFileLines)},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			tree, err := Load(fstest.MapFS{"wire/x.go": {Data: []byte(head + c.body)}})
			if err != nil {
				t.Fatal(err)
			}
			got := tree.Shape()
			if c.want == "" && len(got) > 0 {
				t.Errorf("unexpected: %v", got)
			}
			if c.want != "" && (len(got) != 1 || !strings.Contains(got[0].Text, c.want)) {
				t.Errorf("got %v, want one with %q", got, c.want)
			}
		})
	}
}
