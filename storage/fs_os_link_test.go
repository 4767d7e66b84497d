//go:build unix

package storage

import (
	"os"
	"path/filepath"
	"testing"
)

func TestNothingIsWrittenThroughALink(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "doc.txt"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("doc.txt", filepath.Join(dir, "payload.bin")); err != nil {
		t.Fatal(err)
	}
	root, err := OS{}.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for _, how := range []How{ReadWrite, Create, Replace, Append} {
		if f, err := root.OpenFile("payload.bin", how); err == nil {
			f.Close()
			t.Errorf("mode %d opened a link for writing", how)
		}
	}
	f, err := root.OpenFile("payload.bin", ReadOnly)
	if err != nil {
		t.Fatalf("a link may be read through: %v", err)
	}
	f.Close()
	if b, err := os.ReadFile(filepath.Join(dir, "doc.txt")); err != nil || string(b) != "mine" {
		t.Fatalf("the other file holds %q, %v", b, err)
	}
}
