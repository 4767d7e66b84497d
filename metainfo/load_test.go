package metainfo

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/shoal-bt/shoal/bencode"
)

// M and L make dictionaries and lists in the tests.
type (
	M = bencode.M
	L = bencode.L
)

func encode(t testing.TB, v any) []byte {
	t.Helper()
	raw, err := bencode.Encode(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// v1Info is a sound info dictionary of one file of 100 bytes, changed by with; a
// nil value removes a key.
func v1Info(with M) M {
	m := M{"name": "x", "piece length": 16384, "pieces": strings.Repeat("h", 20), "length": 100}
	for k, v := range with {
		m[k] = v
	}
	return m
}

// v1Files is a sound info dictionary of these files.
func v1Files(files ...M) M {
	var total uint64
	l := L{}
	for _, f := range files {
		if f["attr"] != "l" {
			total += sizeOf(f["length"])
		}
		l = append(l, f)
	}
	return v1Info(M{"length": nil, "files": l, "pieces": strings.Repeat("h", 20*int(min(total+16383, 1<<30)/16384))})
}

// sizeOf is an integer of either type, else 0.
func sizeOf(v any) uint64 {
	switch n := v.(type) {
	case int:
		return uint64(n)
	case int64:
		return uint64(n)
	}
	return 0
}

func file(length int64, path ...string) M { return M{"length": length, "path": path} }

func symlink(target []string, path ...string) M {
	return M{"length": 0, "attr": "l", "path": path, "symlink path": target}
}

func mustLoadInfo(t *testing.T, info M) *Torrent {
	t.Helper()
	tor, err := Options{}.LoadInfo(encode(t, info))
	if err != nil {
		t.Fatal(err)
	}
	return tor
}

func pathsOf(tor *Torrent) string {
	var out []string
	for i := range tor.Files {
		out = append(out, tor.Files[i].Path.String())
	}
	return strings.Join(out, " ")
}

// TestLoadV1: everything of a torrent comes out.
func TestLoadV1(t *testing.T) {
	info := v1Files(file(16384, "a"), M{"length": int64(5), "path": []string{"d", "b"}, "attr": "xh?"}, file(0, "c"))
	info["private"], info["source"] = 1, "SRC"
	info["similar"] = []string{strings.Repeat("i", 20)}
	raw := encode(t, M{
		"announce": "http://a/announce", "announce-list": L{L{" http://b/x ", "bad", "udp://c:1"}, L{}, L{"http://b/x", "https://d"}},
		"comment": "old", "comment.utf-8": "new\xff", "created by": "me", "creation date": 123, "encoding": "UTF-8",
		"nodes":    L{L{"router", 6881}, L{"::1", 1}, L{"bad host", 1}, L{"x", 0}, L{"y"}, "z"},
		"url-list": L{"http://w/a b", "http://w/a%20b/", "gopher://x", 5}, "httpseeds": L{"http://h/s"},
		"similar": []string{strings.Repeat("o", 20), "short"}, "collections": []string{"set"}, "info": info,
	})
	tor, err := Load(raw)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha1.Sum(tor.Info())
	if tor.Hash != HashV1(sum) || tor.Name != "x" || !tor.MultiFile || !tor.Private || tor.Source != "SRC" || tor.Size() != 16389 {
		t.Errorf("got %+v", tor)
	}
	if pathsOf(tor) != "x/a x/d/b x/c" || tor.Files[1].Offset != 16384 || tor.Files[1].Attr != AttrExecutable|AttrHidden || tor.Files[2].Offset != 16389 {
		t.Errorf("files are %+v", tor.Files)
	}
	checkOuter(t, tor)
	if !bytes.Equal(tor.Encode(), raw) {
		t.Errorf("encodes to %q", tor.Encode())
	}
	if h, ok := tor.PieceHash(1); !ok || string(h[:]) != strings.Repeat("h", 20) {
		t.Errorf("hash of piece 1 is %x %v", h, ok)
	}
	if _, ok := tor.PieceHash(2); ok {
		t.Error("there is a piece 2")
	}
}

func checkOuter(t *testing.T, tor *Torrent) {
	t.Helper()
	if len(tor.Trackers) != 2 || strings.Join(tor.Trackers[0], " ") != "http://b/x udp://c:1" || strings.Join(tor.Trackers[1], " ") != "https://d" {
		t.Errorf("trackers are %v", tor.Trackers)
	}
	if len(tor.Nodes) != 2 || tor.Nodes[0] != (HostPort{"router", 6881}) || tor.Nodes[1].String() != "[::1]:1" {
		t.Errorf("nodes are %v", tor.Nodes)
	}
	if strings.Join(tor.WebSeeds, " ") != "http://w/a%20b/" || strings.Join(tor.HTTPSeeds, " ") != "http://h/s" {
		t.Errorf("seeds are %q %q", tor.WebSeeds, tor.HTTPSeeds)
	}
	if tor.Comment != "new_" || tor.CreatedBy != "me" || tor.CreationDate != 123 {
		t.Errorf("got %q %q %d", tor.Comment, tor.CreatedBy, tor.CreationDate)
	}
	if len(tor.Similar) != 2 || tor.Similar[0][0] != 'i' || tor.Similar[1][0] != 'o' || len(tor.Collections) != 1 {
		t.Errorf("similar are %q %q", tor.Similar, tor.Collections)
	}
}

// TestAnnounceAlone: BEP 12's list counts, but not if it is empty or broken.
func TestAnnounceAlone(t *testing.T) {
	for _, list := range []any{nil, L{}, L{L{}}, L{"http://not-in-a-tier"}, L{L{"ftp://x", "http://"}}, "http://x", 5} {
		tor, err := Load(encode(t, M{"announce": "http://a", "announce-list": list, "info": v1Info(nil)}))
		if err != nil || len(tor.Trackers) != 1 || tor.Trackers[0][0] != "http://a" {
			t.Errorf("%v: %v %v", list, tor, err)
		}
	}
}

// TestRefused: each structural lie has its own code.
func TestRefused(t *testing.T) {
	long := L{}
	for range MaxDirDepth + 1 {
		long = append(long, "d")
	}
	for name, c := range map[string]struct {
		info M
		want Code
	}{
		"sound":                       {v1Info(nil), 0},
		"no piece length":             {v1Info(M{"piece length": nil}), MissingPieceLength},
		"piece length 0":              {v1Info(M{"piece length": 0}), InvalidPieceLength},
		"piece length negative":       {v1Info(M{"piece length": -16384}), InvalidPieceLength},
		"piece length 2^31":           {v1Info(M{"piece length": int64(1 << 31)}), InvalidPieceLength},
		"piece length 2^63-1":         {v1Info(M{"piece length": int64(1<<63 - 1)}), InvalidPieceLength},
		"piece length beyond 64 bits": {v1Info(M{"piece length": uint64(1 << 63)}), MissingPieceLength},
		"odd piece length":            {v1Info(M{"piece length": 12345}), 0},
		"length negative":             {v1Info(M{"length": -1}), InvalidLength},
		"length a string":             {v1Info(M{"length": "5"}), InvalidLength},
		"no length, no files":         {v1Info(M{"length": nil}), InvalidLength},
		"length 2^63-1":               {v1Info(M{"length": int64(1<<63 - 1)}), InvalidLength},
		"length of too many pieces":   {v1Info(M{"length": int64(1 << 43)}), TooManyPieces},
		"length 0":                    {v1Info(M{"length": 0, "pieces": ""}), InvalidLength},
		"too few hashes":              {v1Info(M{"length": 16385}), InvalidHashes},
		"too many hashes":             {v1Info(M{"pieces": strings.Repeat("h", 40)}), InvalidHashes},
		"half a hash":                 {v1Info(M{"pieces": "h"}), InvalidHashes},
		"no hashes":                   {v1Info(M{"pieces": nil}), MissingPieces},
		"no name":                     {v1Info(M{"name": nil}), MissingName},
		"empty name":                  {v1Info(M{"name": ""}), MissingName},
		"name of dots":                {v1Info(M{"name": ".."}), MissingName},
		"files are no list":           {v1Info(M{"length": nil, "files": "x"}), InvalidLength},
		"a file is no dictionary":     {v1Info(M{"length": nil, "files": L{1}}), FileParseFailed},
		"a file has no path":          {v1Files(M{"length": 1}), MissingName},
		"a file has an empty path":    {v1Files(M{"length": 1, "path": L{}}), MissingName},
		"a path is no list":           {v1Files(M{"length": 1, "path": "x"}), MissingName},
		"a path has an integer":       {v1Files(M{"length": 1, "path": L{"a", 1}}), InvalidName},
		"a path is too deep":          {v1Files(M{"length": 1, "path": long}), DirectoryTooDeep},
		"a link's target is too deep": {v1Files(file(1, "a"), M{"attr": "l", "path": L{"b"}, "symlink path": long}), DirectoryTooDeep},
		"sizes overflow":              {v1Files(file(1<<62, "a"), file(1<<62, "b")), InvalidLength},
		"sizes add up to too much":    {v1Files(manyBig()...), InvalidLength},
		"only empty files":            {v1Files(file(0, "a"), file(0, "b")), InvalidLength},
		"a file tree without version": {v1Info(M{"file tree": M{}}), MissingVersion},
		"an unknown version":          {v1Info(M{"meta version": 3}), UnknownVersion},
		"version 2 and no file tree":  {v1Info(M{"meta version": 2}), MissingFileTree},
		"version 1 is v1":             {v1Info(M{"meta version": 1}), 0},
		"version negative is v1":      {v1Info(M{"meta version": -1}), 0},
	} {
		_, err := LoadInfo(encode(t, c.info))
		if CodeOf(err) != c.want {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

// manyBig are files that are sound alone and together have more than 2^48 bytes.
func manyBig() []M {
	var out []M
	for range 17 {
		out = append(out, M{"length": int64(maxFileSize), "path": L{"a"}})
	}
	return out
}

// TestNoTorrent: what is no torrent at all.
func TestNoTorrent(t *testing.T) {
	for in, want := range map[string]Code{
		"": NotBencoded, "<html>": NotBencoded, "d4:info": NotBencoded, "le": NotDict, "3:abc": NotDict, "i1e": NotDict,
		"de": MissingInfo, "d4:infolee": MissingInfo, "d4:info3:abce": MissingInfo, "d4:infodee": MissingPieceLength,
		"d10:magnet-uri11:magnet:?x=ye": MagnetOnly,
	} {
		_, err := Load([]byte(in))
		if CodeOf(err) != want {
			t.Errorf("%q: got %v, want %q", in, err, want)
		}
	}
	if _, err := Load(make([]byte, MaxTorrentSize+1)); CodeOf(err) != TooBig {
		t.Errorf("64 MiB and more: %v", err)
	}
	if _, err := LoadInfo([]byte("le")); CodeOf(err) != InfoNotDict {
		t.Errorf("metadata that is a list: %v", err)
	}
	if _, err := LoadInfo(append(encode(t, v1Info(nil)), 'x')); CodeOf(err) != NotBencoded {
		t.Errorf("metadata with trailing bytes: %v", err)
	}
	if tor, err := Load(append(encode(t, M{"info": v1Info(nil)}), "\r\n\x00"...)); err != nil || tor == nil {
		t.Errorf("a file with trailing bytes: %v", err)
	}
}

// TestMagnetIn: a file that holds only a link.
func TestMagnetIn(t *testing.T) {
	raw := encode(t, M{"magnet-uri": "magnet:?xt=urn:btih:" + strings.Repeat("ab", 20)})
	if _, err := Load(raw); CodeOf(err) != MagnetOnly {
		t.Fatal(err)
	}
	if m, err := MagnetIn(raw); err != nil || m.Hash.String() != strings.Repeat("ab", 20) {
		t.Fatal(m, err)
	}
	if _, err := MagnetIn([]byte("de")); err == nil {
		t.Fatal("a file without a link has one")
	}
}

// TestNameFallback: a folder without a usable name is named by the info-hash.
func TestNameFallback(t *testing.T) {
	for name, want := range map[string]string{"..": "", "/": "", "\u202e": "", "": "_", "a/b": "ab", "\xffx": "_x"} {
		info := v1Files(file(1, "a"))
		info["name"] = name
		tor := mustLoadInfo(t, info)
		if want == "" {
			want = tor.Hash.String()
		}
		if tor.Name != want || pathsOf(tor) != want+"/a" {
			t.Errorf("%q: name %q, files %s", name, tor.Name, pathsOf(tor))
		}
	}
}

// TestUTF8Keys: names that say they are UTF-8 are preferred.
func TestUTF8Keys(t *testing.T) {
	info := v1Files(M{"length": 1, "path": L{"\xe9"}, "path.utf-8": L{"é"}}, M{"length": 1, "path": L{"b"}, "path.utf-8": "no list"})
	info["name"], info["name.utf-8"] = "\xfc", "ü"
	if tor := mustLoadInfo(t, info); pathsOf(tor) != "ü/é ü/b" {
		t.Errorf("files are %s", pathsOf(tor))
	}
	if tor := mustLoadInfo(t, v1Info(M{"name": "\xfc", "name.utf-8": "ü"})); pathsOf(tor) != "ü" {
		t.Errorf("file is %s", pathsOf(tor))
	}
}

// TestFirstKeyCounts: v1 dictionaries may repeat keys; the info-hash is over what
// came.
func TestFirstKeyCounts(t *testing.T) {
	raw := []byte("d6:lengthi5e6:lengthi6e4:name1:x12:piece lengthi16384e6:pieces20:hhhhhhhhhhhhhhhhhhhh4:name1:ye")
	tor, err := LoadInfo(raw)
	if err != nil || tor.Size() != 5 || tor.Name != "x" || tor.Hash.V1 != sha1.Sum(raw) || !bytes.Equal(tor.Info(), raw) {
		t.Fatalf("%+v %v", tor, err)
	}
}

// TestPads: padding is marked, needs no path, and may have one path many times.
func TestPads(t *testing.T) {
	pad := func(n int64, path ...string) M { return M{"length": n, "attr": "p", "path": path} }
	tor := mustLoadInfo(t, v1Files(file(10, "a"), pad(16374, ".pad", "0"), file(10, "b"), pad(16374, ".pad", "0"),
		file(1, "c"), M{"length": int64(7), "attr": "p"}, file(2, "_____padding_file_0_x")))
	var pads []int
	for i, f := range tor.Files {
		if f.Pad() {
			pads = append(pads, i)
		}
	}
	if len(pads) != 4 || tor.Size() != 21 || pathsOf(tor) != "x/a x/.pad/0 x/b x/.pad/0 x/c .pad/7 x/_____padding_file_0_x" {
		t.Errorf("pads %v, size %d, files %s", pads, tor.Size(), pathsOf(tor))
	}
}

// TestMatches: metadata is what was asked for, or not.
func TestMatches(t *testing.T) {
	raw := encode(t, v1Info(nil))
	v1, v2 := SumInfo(raw)
	both := HashV1(v1).Merge(HashV2(v2))
	if !HashV1(v1).Matches(raw) || !HashV2(v2).Matches(raw) || !both.Matches(raw) {
		t.Error("the right metadata does not match")
	}
	wrong := both
	wrong.V2[0]++
	if wrong.Matches(raw) || HashV1(sha1.Sum(nil)).Matches(raw) || HashV2(sha256.Sum256(nil)).Matches(raw) || (Hash{}).Matches(raw) {
		t.Error("wrong metadata matches")
	}
}

// TestWith changes what is outside the info dictionary and nothing else.
func TestWith(t *testing.T) {
	raw := encode(t, M{"announce": "http://a", "x-unknown": 5, "comment": "c", "info": v1Info(nil)})
	tor, err := Load(raw)
	if err != nil {
		t.Fatal(err)
	}
	o := Outer{
		Trackers: [][]string{{"http://b", "http://c"}, {"udp://d:5"}}, Nodes: []HostPort{{"n", 1}}, WebSeeds: []string{"http://w/"},
		HTTPSeeds: []string{"http://h"}, Comment: "new", CreatedBy: "me", CreationDate: 5, Similar: [][20]byte{{1}}, Collections: []string{"s"},
	}
	again, err := Load(tor.With(o).Encode())
	if err != nil || again.Hash != tor.Hash {
		t.Fatal(again, err)
	}
	if !bytes.Equal(again.With(o).Encode(), again.Encode()) || again.Comment != "new" || len(again.Trackers) != 2 || again.CreationDate != 5 {
		t.Errorf("got %+v", again.Outer)
	}
	top, _ := bencode.Parse(again.Encode(), bencode.Options{Strict: true})
	if n, _ := top.Get("x-unknown").Int(); n != 5 || top.Get("announce").Text() != "http://b" {
		t.Errorf("encodes to %q", again.Encode())
	}
	if bare, err := Load(tor.With(Outer{}).Encode()); err != nil || bare.Trackers != nil || bare.Comment != "" {
		t.Errorf("bare: %+v %v", bare, err)
	}
}

// TestEncodeSorts: a file whose outermost keys are not canonical comes back so.
func TestEncodeSorts(t *testing.T) {
	info := string(encode(t, v1Info(nil)))
	tor, err := Load([]byte("d4:info" + info + "7:comment1:a7:comment1:be"))
	if err != nil || string(tor.Encode()) != "d7:comment1:a4:info"+info+"e" {
		t.Fatalf("%q %v", tor.Encode(), err)
	}
}
