package metainfo

import (
	"bytes"
	"fmt"

	"github.com/shoal-bt/shoal/bencode"
)

// treeWalk reads a v2 file tree in one pass: every token once, however deep.
type treeWalk struct {
	list *fileList
	tok  bencode.Tokenizer
}

// readTree reads BEP 52's "file tree: A tree of dictionaries where dictionary
// keys represent UTF-8 encoded path elements. Entries with zero-length keys
// describe the properties of the composed path at that point." A tree of one
// file and no folders is a single-file torrent, unless multi says otherwise.
func (l *fileList) readTree(tree bencode.Value, multi bool) error {
	if tree.Kind() != bencode.Dict {
		return &Error{Code: MissingFileTree}
	}
	root := l.root
	l.multi = multi || !onlyFile(tree)
	if !l.multi {
		root = ""
	}
	w := treeWalk{l, bencode.NewTokenizer(tree.Raw(), bencode.Options{Limits: bencodeLimits})}
	if _, err := w.next(); err != nil { // the tree's own opening
		return err
	}
	first, err := w.next()
	if err == nil {
		err = w.folder(root, 1, first)
	}
	l.resolveLinks()
	return err
}

// onlyFile says that a tree holds one entry, which is a file.
func onlyFile(tree bencode.Value) bool {
	if tree.Len() != 1 {
		return false
	}
	for _, entry := range tree.Dict() {
		for k := range entry.Dict() {
			return len(k) == 0 && entry.Len() == 1
		}
	}
	return false
}

func (w *treeWalk) next() (bencode.Token, error) {
	tok, err := w.tok.Next()
	if err != nil {
		return tok, &Error{FileParseFailed, err.Error()}
	}
	return tok, nil
}

// folder reads the entries of a dictionary, the first of whose tokens was read.
func (w *treeWalk) folder(path string, depth int, key bencode.Token) (err error) {
	for key.Kind != bencode.End {
		if err := w.entry(path, depth, key); err != nil {
			return err
		}
		if key, err = w.next(); err != nil {
			return err
		}
	}
	return nil
}

// entry reads the dictionary of one name: a file if its only key is empty, else
// a folder. An empty folder has nothing for us.
func (w *treeWalk) entry(path string, depth int, key bencode.Token) error {
	open, err := w.next()
	if err != nil {
		return err
	}
	if open.Kind != bencode.Dict || len(key.Text) == 0 {
		return &Error{FileParseFailed, "an entry of the file tree is no dictionary, or has no name"}
	}
	path = w.list.join(path, bytes.TrimLeft(key.Text, "/"))
	first, err := w.next()
	if err != nil {
		return err
	}
	if first.Kind != bencode.End && len(first.Text) == 0 {
		return w.file(path)
	}
	if depth > MaxDirDepth {
		return &Error{DirectoryTooDeep, fmt.Sprintf("folders in more than %d levels", MaxDirDepth)}
	}
	return w.folder(path, depth+1, first)
}

// file reads the value of an empty key and the end behind it.
func (w *treeWalk) file(path string) error {
	v, err := w.tok.Value()
	if err != nil {
		return &Error{FileParseFailed, err.Error()}
	}
	end, err := w.next()
	if err != nil {
		return err
	}
	if end.Kind != bencode.End || v.Kind() != bencode.Dict {
		return &Error{FileParseFailed, fmt.Sprintf("%s is a file and a folder", quote(path))}
	}
	return w.list.addV2(path, v)
}

func (l *fileList) addV2(path string, v bencode.Value) error {
	d := readFileDict(v)
	if d.attr&AttrPad != 0 {
		return &Error{InvalidPadFile, quote(path)}
	}
	size, err := d.size()
	if err != nil {
		return err
	}
	target, err := l.readTarget(&d)
	if err != nil {
		return err
	}
	f := File{Path: Path{path}, Length: size, Attr: d.attr, Target: target}
	if size > 0 {
		if f.root, err = readRoot(path, d.root); err != nil {
			return err
		}
	}
	if err := l.add(f); err != nil {
		return err
	}
	return l.pad()
}

// readRoot reads BEP 52's "pieces root: For non-empty files this is the root hash
// of a merkle tree with a branching factor of 2".
func readRoot(path string, v bencode.Value) (*[32]byte, error) {
	if b, _ := v.Bytes(); len(b) == 32 && [32]byte(b) != [32]byte{} {
		return (*[32]byte)(b), nil
	}
	return nil, &Error{MissingPiecesRoot, quote(path)}
}

// pad completes the last piece of a v2 file. BEP 52: "files are aligned to piece
// boundaries"; in a hybrid v1 sees a pad file there.
func (l *fileList) pad() error {
	rest := l.span % l.pieceLen
	if rest == 0 {
		return nil
	}
	n := l.pieceLen - rest
	if l.padded {
		return l.add(File{Path: padPath(n), Length: n, Attr: AttrPad})
	}
	if maxTotal-l.span < n {
		return &Error{InvalidLength, fmt.Sprintf("more than %d bytes in all", int64(maxTotal))}
	}
	l.span += n
	return nil
}

// mergeHybrid checks that both descriptions of a hybrid have the same files at
// the same offsets, and answers the v2 one with its pad files. BEP 52: "the
// metadata must ... be identical for both versions". Only what has bytes counts:
// padding may be named and empty files may be attributed as they like.
func mergeHybrid(v1, v2 fileList) ([]File, error) {
	if len(v2.files) == len(v1.files)+1 {
		v2.dropTailPad()
	}
	if len(v1.files) != len(v2.files) || v1.total != v2.total {
		return nil, &Error{InconsistentFiles, fmt.Sprintf("%d files of %d bytes and %d files of %d bytes, with padding",
			len(v1.files), v1.total, len(v2.files), v2.total)}
	}
	for i := range v2.files {
		a, b := &v1.files[i], &v2.files[i]
		aHas, bHas := !a.Pad() && a.Length > 0, !b.Pad() && b.Length > 0
		if aHas != bHas || aHas && (a.Path != b.Path || a.Length != b.Length || a.Offset != b.Offset) {
			return nil, &Error{InconsistentFiles, fmt.Sprintf("file %d is %s in v1 and %s in v2", i, quote(a.Path.s), quote(b.Path.s))}
		}
	}
	return v2.files, nil
}

// dropTailPad removes the padding behind the last file that has bytes: hybrids
// are made with and without it.
func (l *fileList) dropTailPad() {
	for i := len(l.files) - 1; i >= 0; i-- {
		if l.files[i].Length == 0 {
			continue
		}
		if !l.files[i].Pad() {
			return
		}
		l.total -= l.files[i].Length
		l.files = append(l.files[:i], l.files[i+1:]...)
		for ; i < len(l.files); i++ {
			l.files[i].Offset = l.total
		}
		return
	}
}
