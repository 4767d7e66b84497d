package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/shoal-bt/shoal/bencode"
	"github.com/shoal-bt/shoal/dht"
)

// A key is made once, for its owner only, and is the same from then on.
func TestKeyFiles(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "key")
	made, err := loadKey(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	text := string(readFile(t, path))
	if seed, err := hex.DecodeString(strings.TrimSuffix(text, "\n")); err != nil || !bytes.Equal(seed, made.Seed()) {
		t.Errorf("the file holds %q", text)
	}
	writeFile(t, filepath.Join(dir, "raw"), made.Seed())
	for _, name := range []string{"key", "raw"} {
		if again, err := loadKey(filepath.Join(dir, name)); err != nil || !again.Equal(made) {
			t.Errorf("%s: another key, %v", name, err)
		}
	}
	for name, bad := range map[string]string{"empty": "", "short": "abcd", "text": strings.Repeat("x", 64), "long": strings.Repeat("00", 64)} {
		writeFile(t, filepath.Join(dir, name), []byte(bad))
		if _, err := loadKey(filepath.Join(dir, name)); exitCode(err) != exitIO {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := loadKey(filepath.Join(dir, "nofolder", "key")); exitCode(err) != exitIO {
		t.Error(err)
	}
	if string(readFile(t, path)) != text {
		t.Error("the key has been overwritten")
	}
}

// What get is given names an item; BEP 46's test vectors say which.
func TestItemNames(t *testing.T) {
	for _, c := range []struct{ arg, key, salt, target string }{
		{"cc3f9d90b572172053626f9980ce261a850d050b", "", "", "cc3f9d90b572172053626f9980ce261a850d050b"},
		{someKey, "", "", "cc3f9d90b572172053626f9980ce261a850d050b"},
		{"", strings.ToUpper(someKey), "", "cc3f9d90b572172053626f9980ce261a850d050b"},
		{someKey, "", "n", "59ee7c2cb9b4f7eb1986ee2d18fd2fdb8a56554f"},
		{"magnet:?xs=urn:btpk:" + someKey + "&s=6e", "", "", "59ee7c2cb9b4f7eb1986ee2d18fd2fdb8a56554f"},
	} {
		n, err := parseItemName(c.arg, c.key, c.salt)
		if err != nil {
			t.Fatalf("%+v: %v", c, err)
		}
		q := n.question()
		target := q.Target
		if q.Mutable {
			target = dht.TargetOf(q.Key, q.Salt)
		}
		if target.String() != c.target {
			t.Errorf("%+v: target %v", c, target)
		}
	}
	if _, err := parseItemName(someKey, "", strings.Repeat("x", 65)); exitCode(err) != exitUsage {
		t.Error(err)
	}
}

// A text is shown as it is, all else so that it can be told apart and commands no
// terminal.
func TestValuesShown(t *testing.T) {
	for in, want := range map[string]string{
		"5:hello": "hello", "0:": "", "i7e": "7", "l1:ai2ee": `["a",2]`, "5:a\x1b[1m": `"a\u001b[1m"`,
	} {
		v, err := bencode.Parse([]byte(in), bencode.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := valueText(v); got != want {
			t.Errorf("%q is shown as %q, want %q", in, got, want)
		}
	}
}

// A bencoded value and a link to publish are put as BEP 46 wants them.
func TestValuesPut(t *testing.T) {
	for _, c := range []struct {
		o    putFlags
		arg  string
		want string
	}{
		{putFlags{}, "hello", "5:hello"},
		{putFlags{}, "", "0:"},
		{putFlags{bencoded: true}, "d1:ai1ee", "d1:ai1ee"},
		{putFlags{infoHash: strings.Repeat("41", 20)}, "", "d2:ih20:AAAAAAAAAAAAAAAAAAAAe"},
		{putFlags{}, "-", "3:in\n"},
	} {
		got, err := c.o.value(streams{in: strings.NewReader("in\n")}, []string{c.arg})
		if err != nil || string(got) != c.want {
			t.Errorf("%q: %q %v", c.arg, got, err)
		}
	}
	if o := shoal("dht", "put", strings.Repeat("x", 1000)).want(t, 2); !strings.Contains(o.err, "at most 1000") {
		t.Error(o.err)
	}
	key := filepath.Join(t.TempDir(), "k")
	shoal("dht", "put", "--key", key, "--seq", "-1", "v").want(t, 2)
	if exists(key) {
		t.Error("a refused command makes a key")
	}
	if len(ed25519.NewKeyFromSeed(make([]byte, 32))) == 0 {
		t.Error("no key")
	}
}
