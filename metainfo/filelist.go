package metainfo

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/shoal-bt/shoal/bencode"
)

const (
	// maxFileSize keeps the number of blocks of a file below 2^30, so that its
	// Merkle tree can be indexed with 31 bits; about 16 TiB. libtorrent has the
	// same bound.
	maxFileSize = (1<<30-1)*BlockSize - 1
	// maxTotal bounds the payload, padding included: 256 TiB.
	maxTotal = 1<<48 - 1
	// bitCometPad is in the names of pad files that BitComet made before BEP 47.
	bitCometPad = "_____padding_file_"
)

// fileList collects the files of one description, v1 or v2, in order.
type fileList struct {
	portable bool
	padded   bool   // v2 of a hybrid: list the pad files that v1 must have
	multi    bool   // files are in the folder root
	root     string // the clean name of the torrent
	pieceLen int64

	files     []File
	scratch   []byte // a path in the making
	pathBytes int    // of all paths

	total int64 // bytes listed
	span  int64 // bytes with every v2 file padded to whole pieces
}

// fileDict holds the values of a file's dictionary that we know.
type fileDict struct {
	attr                    Attr
	length                  int64 // -1 if absent or no integer
	path, pathUTF8, symlink bencode.Value
	root                    bencode.Value
}

func readFileDict(v bencode.Value) fileDict {
	d := fileDict{length: -1}
	var attr, length bencode.Value
	for k, e := range v.Dict() {
		var dst *bencode.Value
		switch string(k) {
		case "attr":
			dst = &attr
		case "length":
			dst = &length
		case "path":
			dst = &d.path
		case "path.utf-8":
			dst = &d.pathUTF8
		case "symlink path":
			dst = &d.symlink
		case "pieces root":
			dst = &d.root
		}
		if dst != nil && dst.Kind() == bencode.None {
			*dst = e
		}
	}
	d.attr, d.length = readAttr(attr), intOr(length, -1)
	return d
}

// readAttr reads BEP 47: "attr: a variable-length string. When present, the
// characters each represent a file attribute. l = symlink, x = executable, h =
// hidden, p = padding file. Unknown characters should be ignored."
func readAttr(v bencode.Value) (a Attr) {
	s, _ := v.Bytes()
	for _, c := range s {
		switch c {
		case 'l':
			a |= AttrSymlink
		case 'x':
			a |= AttrExecutable
		case 'h':
			a |= AttrHidden
		case 'p':
			a |= AttrPad
		}
	}
	return a
}

// size is how many bytes of payload the file has; a symbolic link has none.
func (d *fileDict) size() (int64, error) {
	if d.attr&AttrSymlink != 0 {
		return 0, nil
	}
	if d.length < 0 || d.length > maxFileSize {
		return 0, &Error{InvalidLength, fmt.Sprintf("a file of %d bytes", d.length)}
	}
	return d.length, nil
}

// readFiles reads the v1 list of files.
func (l *fileList) readFiles(list bencode.Value) error {
	l.multi = true
	l.files = make([]File, 0, min(list.Len(), MaxFiles))
	for v := range list.List() {
		if err := l.readFile(v); err != nil {
			return err
		}
	}
	l.resolveLinks()
	return nil
}

func (l *fileList) readFile(v bencode.Value) error {
	if v.Kind() != bencode.Dict {
		return &Error{FileParseFailed, "a file is no dictionary"}
	}
	d := readFileDict(v)
	size, err := d.size()
	if err != nil {
		return err
	}
	path, err := l.readPath(&d, size)
	if err != nil {
		return err
	}
	return l.addV1(&d, path, size)
}

// readPath is the file's path below the torrent's folder. BEP 47 wants no path
// for pad files, some torrents have none: they get one that nobody sees.
func (l *fileList) readPath(d *fileDict, size int64) (Path, error) {
	v := d.path
	if d.pathUTF8.Kind() == bencode.List {
		v = d.pathUTF8
	}
	path, err := l.readElements(l.root, v, false)
	switch {
	case err != nil:
		return Path{}, err
	case path != l.root:
		return Path{path}, nil
	case d.attr&AttrPad != 0:
		return padPath(size), nil
	}
	return Path{}, &Error{MissingName, "a file has no path"}
}

func padPath(size int64) Path { return Path{".pad/" + strconv.FormatInt(size, 10)} }

// readElements appends a list of strings to a path, one element each; other
// kinds add nothing. With noDots, "." and ".." add nothing either.
func (l *fileList) readElements(path string, list bencode.Value, noDots bool) (string, error) {
	l.scratch = append(l.scratch[:0], path...)
	n := 0
	for v := range list.List() {
		b, ok := v.Bytes()
		if !ok {
			return "", &Error{InvalidName, "a path has an element that is no string"}
		}
		if n++; n > MaxDirDepth {
			return "", &Error{DirectoryTooDeep, fmt.Sprintf("a path of more than %d elements", MaxDirDepth)}
		}
		if noDots && (string(b) == "." || string(b) == "..") {
			continue
		}
		l.scratch = l.appendElement(l.scratch, b)
	}
	return string(l.scratch), nil
}

// join is path with one more element.
func (l *fileList) join(path string, element []byte) string {
	l.scratch = l.appendElement(append(l.scratch[:0], path...), element)
	return string(l.scratch)
}

// appendElement is like the function, without allocating in the usual case.
func (l *fileList) appendElement(dst, element []byte) []byte {
	if len(dst) > 0 {
		dst = append(dst, '/')
	}
	if plain(element) && element[0] != '.' && !l.portable {
		return append(dst, element...)
	}
	return append(dst, appendElement("", string(element), l.portable)...)
}

// readSingle reads the only file of a v1 torrent, which is the info dictionary
// itself.
func (l *fileList) readSingle(d *infoDict) error {
	size, err := d.single.size()
	if err != nil {
		return err
	}
	if b, _ := nameOf(d).Bytes(); len(b) == 0 {
		return &Error{Code: MissingName}
	}
	name := cleanElement(nameOf(d).Text(), l.portable)
	if name == "" {
		return &Error{MissingName, fmt.Sprintf("nothing is left of %s", quote(nameOf(d).Text()))}
	}
	return l.addV1(&d.single, Path{name}, size)
}

func (l *fileList) addV1(d *fileDict, path Path, size int64) error {
	attr := d.attr
	if strings.Contains(path.s, bitCometPad) {
		attr |= AttrPad
	}
	target, err := l.readTarget(d)
	if err != nil {
		return err
	}
	return l.add(File{Path: path, Length: size, Attr: attr, Target: target})
}

// readTarget reads where a symbolic link points to, seen from the torrent's
// folder; resolveLinks will judge it. BEP 47 forbids "." and ".." there; they are
// left out, as other clients do.
func (l *fileList) readTarget(d *fileDict) (Path, error) {
	if d.attr&AttrSymlink == 0 {
		return Path{}, nil
	}
	target, err := l.readElements("", d.symlink, true)
	return Path{target}, err
}

// add appends a file. A symbolic link without a target is an empty file.
func (l *fileList) add(f File) error {
	if len(l.files) >= MaxFiles {
		return &Error{TooManyFiles, fmt.Sprintf("more than %d", MaxFiles)}
	}
	if l.pathBytes += len(f.Path.s); l.pathBytes > maxPathBytes {
		return &Error{TooManyFiles, fmt.Sprintf("their paths are longer than %d MiB", maxPathBytes>>20)}
	}
	if maxTotal-l.span < f.Length {
		return &Error{InvalidLength, fmt.Sprintf("more than %d bytes in all", int64(maxTotal))}
	}
	if f.Target.IsZero() {
		f.Attr &^= AttrSymlink
	}
	f.Offset = l.total
	l.files = append(l.files, f)
	l.total += f.Length
	l.span += f.Length
	return nil
}
