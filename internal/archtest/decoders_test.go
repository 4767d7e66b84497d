package archtest

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// Each way to break the rule of the fuzz targets is found, and nothing else.
func TestDecodersRule(t *testing.T) {
	tree, err := Load(fstest.MapFS{
		"box/box.go": {Data: []byte(`// Package box reads boxes.
package box

import "io"

type Box struct{}

func Parse(b []byte) error        { return inner(b) }
func inner(b []byte) error        { return nil }
func ParseMore(s string) error    { return nil }
func (b *Box) Decode(r io.Reader) {}
func DecodeList(n int) error      { return nil }
func Load(p []byte) error         { return nil }
func Open(b []byte) error         { return nil }
func unmarshal(b [4]byte) error   { return nil }
`)},
		"box/box_test.go": {Data: []byte(`package box

import "testing"

func FuzzParse(f *testing.F) { helper(f) }
func helper(f *testing.F)    { f.Fuzz(func(t *testing.T, b []byte) { Parse(b) }) }
func FuzzOpen(f *testing.F)  { Parse(nil) }
func FuzzNew(f *testing.F)   {}
`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := tree.Decoders(DecoderTable{
		Packages: []string{"box", "nowhere"},
		Fuzzed: map[string]string{
			"box.Parse": "FuzzParse", "box.inner": "FuzzParse", "box.Open": "FuzzOpen",
			"box.ParseMore": "FuzzMore", "box.Gone": "FuzzParse", "away.Parse": "FuzzParse",
		},
		Exempt: map[string]string{"box.Load": "is nothing"},
	})
	want := []string{
		"box.Box.Decode is in no table",
		"FuzzNew of box is in no table",
		"there is no package nowhere",
		"away.Parse is in the table, but there is no such package",
		"box.Gone is in the table, but not in the package",
		"FuzzOpen does not lead to box.Open",
		"box.ParseMore has no fuzz target FuzzMore",
	}
	for _, w := range want {
		i := slices.IndexFunc(got, func(p Problem) bool { return strings.Contains(p.Text, w) })
		if i < 0 {
			t.Errorf("not reported: %s", w)
			continue
		}
		got = slices.Delete(got, i, i+1)
	}
	for _, p := range got {
		t.Errorf("unexpected: %s", p)
	}
}
