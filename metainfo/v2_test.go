package metainfo

import (
	"bytes"
	"crypto/sha256"
	"strings"
	"testing"
)

// merkleOf hashes data as BEP 52 says, the plain way: all blocks, zero hashes up
// to a power of two, pairs up to the root. layer is the row of pieces.
func merkleOf(data []byte, pieceLen int) (root [32]byte, layer []byte) {
	var row [][32]byte
	for off := 0; off < len(data); off += BlockSize {
		row = append(row, sha256.Sum256(data[off:min(off+BlockSize, len(data))]))
	}
	for len(row)&(len(row)-1) != 0 || len(row) < pieceLen/BlockSize && len(data) > pieceLen {
		row = append(row, [32]byte{})
	}
	pieces := (len(data) + pieceLen - 1) / pieceLen
	for width := BlockSize; len(row) > 1; width *= 2 {
		if width == pieceLen {
			layer = joinHashes(row[:pieces])
		}
		for i := range len(row) / 2 {
			row[i] = sha256.Sum256(joinHashes(row[2*i : 2*i+2]))
		}
		row = row[:len(row)/2]
	}
	return row[0], layer
}

func joinHashes(h [][32]byte) []byte {
	var out []byte
	for i := range h {
		out = append(out, h[i][:]...)
	}
	return out
}

// v2Torrent is a torrent file of the given sizes, changed by change before it is
// encoded.
func v2Torrent(t *testing.T, pieceLen int, sizes []int, change func(top, info, tree, layers M)) []byte {
	t.Helper()
	tree, layers := M{}, M{}
	for i, n := range sizes {
		data := bytes.Repeat([]byte{byte(i + 1)}, n)
		f := M{"length": n}
		if n > 0 {
			root, layer := merkleOf(data, pieceLen)
			f["pieces root"] = root[:]
			if n > pieceLen {
				layers[string(root[:])] = layer
			}
		}
		tree[string(rune('a'+i))] = M{"": f}
	}
	info := M{"name": "x", "piece length": pieceLen, "meta version": 2, "file tree": tree}
	top := M{"info": info, "piece layers": layers}
	if change != nil {
		change(top, info, tree, layers)
	}
	return encode(t, top)
}

// TestV2: files begin pieces, hashes add up, nothing is between files.
func TestV2(t *testing.T) {
	sizes := []int{5 * 32768, 0, 100, 32768 + 1, 32768}
	tor, err := Load(v2Torrent(t, 32768, sizes, nil))
	if err != nil {
		t.Fatal(err)
	}
	if tor.Hash.HasV1 || !tor.Hash.HasV2 || !tor.MultiFile || pathsOf(tor) != "x/a x/b x/c x/d x/e" || !tor.LayersComplete() {
		t.Errorf("got %+v", tor)
	}
	if l := tor.Lengths; l.Pieces() != 5+0+1+2+1 || l.Total() != 229477 || tor.Size() != l.Total() || l.PieceSize(5) != 100 || l.PieceSize(7) != 1 {
		t.Errorf("got %+v", tor.Lengths)
	}
	for i, want := range []int{5 * 32, 0, 32, 2 * 32, 32} {
		if got := len(tor.PieceLayer(FileIndex(i))); got != want {
			t.Errorf("file %d has a layer of %d bytes, want %d", i, got, want)
		}
	}
	if tor.PieceLayer(-1) != nil || tor.PieceLayer(5) != nil {
		t.Error("files that are not there have layers")
	}
	if _, ok := tor.PieceHash(0); ok {
		t.Error("a v2 torrent has SHA-1 hashes")
	}
	alone, err := LoadInfo(tor.Info())
	if err != nil || alone.LayersComplete() || alone.PieceLayer(0) != nil || alone.PieceLayer(2) == nil {
		t.Errorf("metadata alone: %v", err)
	}
}

// TestV2Single: one file and no folder.
func TestV2Single(t *testing.T) {
	tor, err := Load(v2Torrent(t, 16384, []int{50000}, nil))
	if err != nil || tor.MultiFile || tor.Name != "a" || pathsOf(tor) != "a" {
		t.Fatalf("%+v %v", tor, err)
	}
}

// TestV2Refused: each lie of a v2 torrent has its own code.
func TestV2Refused(t *testing.T) {
	file := func(tree M) M { return tree["a"].(M)[""].(M) }
	key := func(layers M) string {
		for k := range layers {
			return k
		}
		return ""
	}
	for name, c := range map[string]struct {
		change func(top, info, tree, layers M)
		want   Code
	}{
		"sound":                     {nil, 0},
		"piece length 12 KiB":       {func(_, info, _, _ M) { info["piece length"] = 12288 }, InvalidPieceLength},
		"piece length 8 KiB":        {func(_, info, _, _ M) { info["piece length"] = 8192 }, InvalidPieceLength},
		"piece length 48 KiB":       {func(_, info, _, _ M) { info["piece length"] = 49152 }, InvalidPieceLength},
		"no root":                   {func(_, _, tree, _ M) { file(tree)["pieces root"] = nil }, MissingPiecesRoot},
		"a short root":              {func(_, _, tree, _ M) { file(tree)["pieces root"] = "short" }, MissingPiecesRoot},
		"a root of zeros":           {func(_, _, tree, _ M) { file(tree)["pieces root"] = make([]byte, 32) }, MissingPiecesRoot},
		"no length":                 {func(_, _, tree, _ M) { file(tree)["length"] = nil }, InvalidLength},
		"a pad file":                {func(_, _, tree, _ M) { file(tree)["attr"] = "p" }, InvalidPadFile},
		"a file too big":            {func(_, _, tree, _ M) { file(tree)["length"] = int64(maxFileSize + 1) }, InvalidLength},
		"too many pieces":           {func(_, _, tree, _ M) { file(tree)["length"] = int64(1 << 42) }, TooManyPieces},
		"file tree is a list":       {func(_, info, _, _ M) { info["file tree"] = L{} }, MissingFileTree},
		"an empty tree":             {func(_, info, _, _ M) { info["file tree"] = M{} }, NoFiles},
		"a tree of empty folders":   {func(_, info, _, _ M) { info["file tree"] = M{"d": M{"e": M{}}} }, NoFiles},
		"an entry is no dictionary": {func(_, _, tree, _ M) { tree["b"] = 5 }, FileParseFailed},
		"a file at the root":        {func(_, _, tree, _ M) { tree[""] = M{"length": 0} }, FileParseFailed},
		"a file and a folder":       {func(_, _, tree, _ M) { tree["a"].(M)["b"] = M{"": M{"length": 0}} }, FileParseFailed},
		"a file is a string":        {func(_, _, tree, _ M) { tree["b"] = M{"": "x"} }, FileParseFailed},
		"an empty name in a folder": {func(_, _, tree, _ M) { tree["d"] = M{"": M{"": M{"length": 0}}} }, InvalidLength},
		"no layers":                 {func(top, _, _, _ M) { top["piece layers"] = nil }, 0},
		"layers are a list":         {func(top, _, _, _ M) { top["piece layers"] = L{} }, 0},
		"a layer is missing":        {func(_, _, _, layers M) { clear(layers) }, 0},
		"a layer of no file":        {func(_, _, _, layers M) { layers[strings.Repeat("z", 32)] = "" }, InvalidPieceLayer},
		"a key is no hash":          {func(_, _, _, layers M) { layers["z"] = "" }, InvalidPieceLayer},
		"a layer is no string":      {func(_, _, _, layers M) { layers[key(layers)] = 5 }, InvalidPieceLayer},
		"a layer too short":         {func(_, _, _, layers M) { layers[key(layers)] = make([]byte, 32) }, InvalidPieceLayer},
		"half a hash":               {func(_, _, _, layers M) { layers[key(layers)] = make([]byte, 99) }, InvalidPieceLayer},
		"wrong hashes":              {func(_, _, _, layers M) { layers[key(layers)] = make([]byte, 128) }, InvalidPieceLayer},
		"too deep":                  {func(_, _, tree, _ M) { tree["d"] = deepFolder(200) }, NotBencoded},
	} {
		_, err := Load(v2Torrent(t, 16384, []int{50000}, c.change))
		if CodeOf(err) != c.want {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

func deepFolder(n int) M {
	m := M{"": M{"length": 0}}
	for range n {
		m = M{"d": m}
	}
	return m
}

// TestV2NotCanonical: v1 tolerates it, v2 does not. BEP 52: "it must be a
// bencoded dictionary in canonical form".
func TestV2NotCanonical(t *testing.T) {
	good := encode(t, M{"file tree": M{"a": M{"": M{"length": 0}}, "b": M{"": M{"length": 1, "pieces root": strings.Repeat("r", 32)}}},
		"meta version": 2, "name": "x", "piece length": 16384})
	if _, err := LoadInfo(good); err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{"i16384e": "i016384e", "4:name1:x": "4:name01:x", "1:ad": "1:cd", "i2e": "i02e", "i0e": "i-0e"} {
		if _, err := LoadInfo([]byte(strings.Replace(string(good), from, to, 1))); CodeOf(err) != NotCanonical {
			t.Errorf("%s: %v", to, err)
		}
	}
}

// TestV2Names: the names of the tree pass the same sanitiser.
func TestV2Names(t *testing.T) {
	tor, err := Load(v2Torrent(t, 16384, []int{5}, func(_, info, tree, _ M) {
		e := func() M { return M{"": M{"length": 0}} }
		tree[".."], tree["/"], tree["\xff"] = M{"..": e()}, e(), e()
		tree["A"], tree["l"] = e(), M{"": M{"length": 0, "attr": "l", "symlink path": L{"a"}}}
	}))
	if err != nil || pathsOf(tor) != "x/_/_ x/_.1 x/A x/a.1 x/l x/_.2" {
		t.Fatalf("%v %v", pathsOf(tor), err)
	}
	if tor.Files[4].Target.String() != "x/a" {
		t.Errorf("the link points to %s", tor.Files[4].Target)
	}
}

// hybrid makes both descriptions of files a, b, c of 20000, 0 and 5 bytes.
func hybrid(t *testing.T, change func(info M, files L)) ([]byte, L) {
	t.Helper()
	files := L{file(20000, "a"), M{"length": 12768, "attr": "p", "path": L{".pad", "12768"}}, file(0, "b"), file(5, "c")}
	return v2Torrent(t, 16384, []int{20000, 0, 5}, func(_, info, _, _ M) {
		info["pieces"] = strings.Repeat("h", 60)
		if change != nil {
			change(info, files)
		}
		if info["length"] == nil {
			info["files"] = files
		}
	}), files
}

func TestHybrid(t *testing.T) {
	raw, _ := hybrid(t, nil)
	tor, err := Load(raw)
	if err != nil || !tor.Hash.HasV1 || !tor.Hash.HasV2 || pathsOf(tor) != "x/a .pad/12768 x/b x/c" {
		t.Fatalf("%+v %v", tor, err)
	}
	if tor.Lengths.Total() != 32773 || tor.Lengths.Pieces() != 3 || tor.Size() != 20005 || tor.Files[3].Offset != 32768 || !tor.LayersComplete() {
		t.Errorf("%+v", tor.Lengths)
	}
	_, hasHash := tor.PieceHash(2)
	_, hasRoot := tor.Files[0].Root()
	if _, padRoot := tor.Files[1].Root(); !hasHash || !hasRoot || padRoot {
		t.Error("hashes are missing, or where none belong")
	}
}

// TestHybridTail: padding behind the last file is there or not.
func TestHybridTail(t *testing.T) {
	tail := M{"length": 16379, "attr": "p", "path": L{".pad", "16379"}}
	raw := v2Torrent(t, 16384, []int{20000, 0, 5}, func(_, info, _, _ M) {
		info["pieces"] = strings.Repeat("h", 60)
		info["files"] = L{file(20000, "a"), M{"length": 12768, "attr": "p"}, file(0, "b"), file(5, "c"), tail}
	})
	tor, err := Load(raw)
	if err != nil || tor.Lengths.Total() != 3*16384 || tor.Lengths.Pieces() != 3 || len(tor.Files) != 5 {
		t.Fatalf("%+v %v", tor, err)
	}
}

// TestHybridMismatch: the two descriptions must be of the same files.
func TestHybridMismatch(t *testing.T) {
	for name, change := range map[string]func(info M, files L){
		"another name":      func(_ M, f L) { f[0].(M)["path"] = L{"z"} },
		"another size":      func(_ M, f L) { f[0].(M)["length"], f[1].(M)["length"] = 20001, 12767 },
		"no padding":        func(_ M, f L) { f[1].(M)["length"] = 0 },
		"padding is a file": func(_ M, f L) { f[1].(M)["attr"] = nil },
		"a file is padding": func(_ M, f L) { f[0].(M)["attr"] = "p" },
		"one file":          func(info M, _ L) { info["length"] = 5 },
	} {
		raw, _ := hybrid(t, change)
		if _, err := Load(raw); CodeOf(err) != InconsistentFiles {
			t.Errorf("%s: got %v", name, err)
		}
	}
	raw, _ := hybrid(t, func(info M, _ L) { info["pieces"] = strings.Repeat("h", 40) })
	if _, err := Load(raw); CodeOf(err) != InvalidHashes {
		t.Errorf("too few hashes: %v", err)
	}
}

// TestHybridWithoutHashes: v1 peers could not verify it, so it is v2 only.
func TestHybridWithoutHashes(t *testing.T) {
	raw, _ := hybrid(t, func(info M, _ L) { info["pieces"] = nil })
	tor, err := Load(raw)
	if err != nil || tor.Hash.HasV1 || !tor.Hash.HasV2 {
		t.Fatalf("%+v %v", tor, err)
	}
}

// TestHybridSingle: one file, no padding, no folder.
func TestHybridSingle(t *testing.T) {
	raw := v2Torrent(t, 16384, []int{40000}, func(_, info, _, _ M) {
		info["name"], info["length"], info["pieces"] = "a", 40000, strings.Repeat("h", 60)
	})
	tor, err := Load(raw)
	if err != nil || tor.MultiFile || !tor.Hash.HasV1 || !tor.Hash.HasV2 || tor.Lengths.Total() != 40000 || len(tor.Files) != 1 {
		t.Fatalf("%+v %v", tor, err)
	}
}

// TestSameRoot: two files of the same content share one layer.
func TestSameRoot(t *testing.T) {
	raw := v2Torrent(t, 16384, []int{50000}, func(_, _, tree, _ M) { tree["b"] = tree["a"] })
	tor, err := Load(raw)
	if err != nil || !tor.LayersComplete() || !bytes.Equal(tor.PieceLayer(0), tor.PieceLayer(1)) {
		t.Fatal(err)
	}
}

// TestMerkle compares the root over pieces with the root over blocks.
func TestMerkle(t *testing.T) {
	for _, pieceLen := range []int{16384, 32768, 131072} {
		for _, n := range []int{pieceLen + 1, 2 * pieceLen, 3*pieceLen + 5, 8 * pieceLen, 9*pieceLen - 1} {
			root, layer := merkleOf(bytes.Repeat([]byte{7}, n), pieceLen)
			if got := merkleRoot(layer, blocksLog2(int64(pieceLen))); got != root {
				t.Errorf("%d bytes in pieces of %d: got %x, want %x", n, pieceLen, got, root)
			}
		}
	}
}
