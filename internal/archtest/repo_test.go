package archtest

import (
	"os"
	"path/filepath"
	"testing"
)

// TestRepository runs every rule over this repository.
func TestRepository(t *testing.T) {
	root := repositoryRoot(t)
	tree, err := Load(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	if len(tree.pkgs) < 3 {
		t.Fatalf("only %d packages below %s: is this the repository?", len(tree.pkgs), root)
	}
	exports, err := FindExports(root, tree.Foreign()...)
	if err != nil {
		t.Fatal(err)
	}
	tree.Check(exports)
	for _, rule := range rules {
		t.Run(rule.name, func(t *testing.T) {
			for _, p := range rule.run(tree) {
				t.Error(p)
			}
		})
	}
	t.Run("decoders", func(t *testing.T) {
		for _, p := range tree.Decoders(decoders) {
			t.Error(p)
		}
	})
}

// rules are the groups of rules by the name of their file.
var rules = []struct {
	name string
	run  func(*Tree) []Problem
}{
	{"imports", (*Tree).Imports},
	{"handlers", (*Tree).Handlers},
	{"order", (*Tree).Order},
	{"shape", (*Tree).Shape},
}

// repositoryRoot finds the folder of the main go.mod above the test.
func repositoryRoot(t *testing.T) string {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		t.Fatal(err)
	}
	return root
}
