package scenario

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write the actual output of scenarios into their files")

// Command is one line above "----".
type Command struct {
	Name string
	Args []string // words without "="
	keys []string
	vals []string
}

// Player carries out the commands of one file. It returns what the command prints,
// "" for nothing.
type Player interface {
	Do(t *testing.T, c Command) string
}

// Run plays every file that matches the pattern as a subtest, each with a fresh
// player.
func Run(t *testing.T, pattern string, player func() Player) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenario matches %s: %v", pattern, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { play(t, file, player()) })
	}
}

func play(t *testing.T, file string, p Player) {
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(raw), "\r\n", "\n")
	if !strings.HasPrefix(text, "# guards: ") {
		t.Fatalf("%s does not begin with what it guards", file)
	}
	r := &run{t: t, file: file, player: p}
	r.play(strings.Split(strings.TrimRight(text, "\n"), "\n"))
	if *rewrite {
		if err := os.WriteFile(file, []byte(r.out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// run is the reading of one file: what has been printed since the last "----", and
// the file as it should be.
type run struct {
	t       *testing.T
	file    string
	player  Player
	printed []string
	out     strings.Builder
}

func (r *run) play(lines []string) {
	for n := 0; n < len(lines); n++ {
		line := strings.TrimSpace(lines[n])
		fmt.Fprintln(&r.out, lines[n])
		switch {
		case line == "----":
			want := block(lines[n+1:])
			n += len(want)
			r.compare(n+1, want)
		case line != "" && !strings.HasPrefix(line, "#"):
			r.command(n+1, line)
		}
	}
	if len(r.printed) > 0 {
		r.t.Errorf("%s: the last commands lack their ----", r.file)
	}
}

func (r *run) command(n int, line string) {
	c, err := Parse(line)
	if err != nil {
		r.t.Fatalf("%s:%d: %v", r.file, n, err)
	}
	if out := strings.TrimSpace(r.player.Do(r.t, c)); out != "" {
		r.printed = append(r.printed, strings.Split(out, "\n")...)
	}
	if r.t.Failed() {
		r.t.Fatalf("%s:%d: %s", r.file, n, line)
	}
}

func (r *run) compare(n int, want []string) {
	got := r.printed
	r.printed = nil
	for _, l := range got {
		fmt.Fprintln(&r.out, l)
	}
	if !*rewrite && strings.Join(got, "\n") != strings.Join(want, "\n") {
		r.t.Errorf("%s:%d:\n got: %s\nwant: %s", r.file, n,
			strings.Join(got, "\n      "), strings.Join(want, "\n      "))
	}
}

// block is the lines up to the next empty one.
func block(lines []string) []string {
	for i, l := range lines {
		if strings.TrimSpace(l) == "" {
			return lines[:i]
		}
	}
	return lines
}

// Parse reads a command: a name, words, and key=value pairs.
func Parse(line string) (Command, error) {
	words := strings.Fields(line)
	if len(words) == 0 {
		return Command{}, fmt.Errorf("empty command")
	}
	c := Command{Name: words[0]}
	for _, w := range words[1:] {
		if k, v, ok := strings.Cut(w, "="); ok {
			c.keys, c.vals = append(c.keys, k), append(c.vals, v)
		} else {
			c.Args = append(c.Args, w)
		}
	}
	return c, nil
}

// Get returns the value of a key.
func (c Command) Get(key string) (v string, ok bool) {
	for i, k := range c.keys {
		if k == key {
			return c.vals[i], true
		}
	}
	return "", false
}

// Int returns the number of a key, or standard when there is none.
func (c Command) Int(t *testing.T, key string, standard int64) int64 {
	t.Helper()
	v, ok := c.Get(key)
	if !ok {
		return standard
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	return n
}

// Is reports whether word stands among the words.
func (c Command) Is(word string) bool {
	for _, a := range c.Args {
		if a == word {
			return true
		}
	}
	return false
}

// Numbers reads "0-3,7" as 0 1 2 3 7; "" and "none" are no numbers.
func Numbers(t *testing.T, s string) (out []int32) {
	t.Helper()
	if s == "" || s == "none" {
		return nil
	}
	for part := range strings.SplitSeq(s, ",") {
		lo, hi, isRange := strings.Cut(part, "-")
		from, err := strconv.ParseInt(lo, 10, 32)
		to := from
		if err == nil && isRange {
			to, err = strconv.ParseInt(hi, 10, 32)
		}
		if err != nil || from > to {
			t.Fatalf("numbers %q", s)
		}
		for ; from <= to; from++ {
			out = append(out, int32(from))
		}
	}
	return out
}
