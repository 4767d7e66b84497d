package clients

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// File is one file of a payload.
type File struct {
	Path string // slash-separated, below the payload's name
	Size int64
}

// Payload is made-up content: what a seed has and a leecher must get.
type Payload struct {
	Name  string // of the folder, or of the one file if Files is empty
	Files []File // nil for a single file
	Size  int64
	// Public torrents may be asked for in the DHT and elsewhere; others are private, so
	// that no client asks anybody but trackers.
	Public bool
	Extra  string // bencoded key and value for the info dictionary, behind "private"
}

// MultiFile returns a payload of somewhat more than total bytes in nested folders
// with names in several scripts, an empty file, tiny files, and sizes that end
// inside pieces of every usual length.
func MultiFile(name string, total int64) Payload {
	files := []File{
		{"readme.txt", 1},
		{"empty.bin", 0},
		{"disc 1/01 - Größe & Maß.flac", 3<<20 + 17},
		{"disc 1/02 - 日本語のファイル名.flac", total/4 + 12345},
		{"disc 2/deep/er/and/deeper/файл.bin", total/4 + 16<<10 - 1},
		{"disc 2/deep/er/emoji 🐟.dat", 16<<10 + 1},
		{"disc 2/exactly one block.dat", 16 << 10},
		{"zz/last.bin", total/2 + 7},
	}
	p := Payload{Name: name, Files: files}
	for _, f := range files {
		p.Size += f.Size
	}
	return p
}

// SingleFile returns a payload of one file.
func SingleFile(name string, size int64) Payload { return Payload{Name: name, Size: size} }

// paths returns each file's path below the folder that holds the payload.
func (p Payload) paths() []File {
	if p.Files == nil {
		return []File{{p.Name, p.Size}}
	}
	out := slices.Clone(p.Files)
	for i := range out {
		out[i].Path = p.Name + "/" + out[i].Path
	}
	return out
}

// Write makes the payload below dir, its bytes drawn from the seed.
func (p Payload) Write(dir string, seed uint64) error {
	key := [32]byte{}
	copy(key[:], strconv.FormatUint(seed, 10))
	return p.writeFrom(dir, rand.NewChaCha8(key))
}

// Spoil makes every piece below dir wrong without allocating anything anew: room for
// measurements, in which fresh pages would cost more than what is measured. Files that
// are not there are made, of the right sizes.
func (p Payload) Spoil(dir string, pieceLen int64) error {
	for _, f := range p.paths() {
		path := filepath.Join(dir, filepath.FromSlash(f.Path))
		if _, err := os.Stat(path); err != nil {
			if err := p.writeFrom(dir, same(0x55)); err != nil {
				return err
			}
		}
		out, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		// Half a piece apart, so that none is missed where files meet.
		for off := int64(0); off < f.Size && err == nil; off += pieceLen / 2 {
			_, err = out.WriteAt([]byte(spoiled)[:min(int64(len(spoiled)), f.Size-off)], off)
		}
		out.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

const spoiled = "this is not what the piece should hold"

// same is an endless stream of one byte.
type same byte

func (s same) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(s)
	}
	return len(b), nil
}

func (p Payload) writeFrom(dir string, r io.Reader) error {
	for _, f := range p.paths() {
		path := filepath.Join(dir, filepath.FromSlash(f.Path))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		out, err := os.Create(path)
		if err != nil {
			return err
		}
		_, err = io.CopyBuffer(struct{ io.Writer }{out}, io.LimitReader(r, f.Size), make([]byte, 1<<20))
		if cerr := out.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Open reads the payload below dir as one stream, as pieces see it: one file at a time,
// since there may be more than may be open.
func (p Payload) Open(dir string) (io.ReadCloser, error) {
	s := &stream{}
	for _, f := range p.paths() {
		s.paths = append(s.paths, filepath.Join(dir, filepath.FromSlash(f.Path)))
	}
	return s, nil
}

type stream struct {
	paths []string // to come
	file  *os.File // nil: none is open
}

func (s *stream) Read(b []byte) (int, error) {
	for {
		if s.file == nil {
			if len(s.paths) == 0 {
				return 0, io.EOF
			}
			f, err := os.Open(s.paths[0])
			if err != nil {
				return 0, err
			}
			s.file, s.paths = f, s.paths[1:]
		}
		n, err := s.file.Read(b)
		if n > 0 || !errors.Is(err, io.EOF) {
			return n, err
		}
		s.file.Close()
		s.file = nil
	}
}

func (s *stream) Close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}

// Compare says how the payload below got differs from that below want, byte by
// byte. Empty files may be missing if the client is known to leave them out.
func (p Payload) Compare(want, got string, emptyMayMiss bool) error {
	for _, f := range p.paths() {
		rel := filepath.FromSlash(f.Path)
		if _, err := os.Stat(filepath.Join(got, rel)); f.Size == 0 && emptyMayMiss && os.IsNotExist(err) {
			continue
		}
		if err := compareFile(filepath.Join(want, rel), filepath.Join(got, rel)); err != nil {
			return err
		}
	}
	return nil
}

func compareFile(want, got string) error {
	a, err := os.Open(want)
	if err != nil {
		return err
	}
	defer a.Close()
	b, err := os.Open(got)
	if err != nil {
		return err
	}
	defer b.Close()
	x, y := make([]byte, 1<<20), make([]byte, 1<<20)
	for off := int64(0); ; {
		n, errA := io.ReadFull(a, x)
		m, errB := io.ReadFull(b, y)
		if i := firstDifference(x[:n], y[:m]); i >= 0 {
			return fmt.Errorf("%s differs at byte %d", got, off+int64(i))
		}
		if n != m {
			return fmt.Errorf("%s has %d bytes too %s", got, max(n-m, m-n), map[bool]string{true: "few", false: "many"}[m < n])
		}
		if off += int64(n); errA != nil || errB != nil {
			return nil
		}
	}
}

func firstDifference(a, b []byte) int {
	n := min(len(a), len(b))
	if bytes.Equal(a[:n], b[:n]) {
		return -1
	}
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return -1
}

// Torrent is a torrent file of a payload.
type Torrent struct {
	Path     string
	InfoHash string // hex
	Pieces   int
	PieceLen int64
	Hashes   []byte // 20 bytes a piece
	Payload  Payload
}

// infoHash returns the hash as bytes.
func (t *Torrent) infoHash() []byte {
	b, err := hex.DecodeString(t.InfoHash)
	if err != nil {
		panic(err) // MakeTorrent made it
	}
	return b
}

// MakeTorrent hashes the payload below dir and writes a torrent file at path, with a
// tracker if there is one.
func (p Payload) MakeTorrent(dir, path string, pieceLen int64, trackers ...string) (*Torrent, error) {
	r, err := p.Open(dir)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var hashes []byte
	buf := make([]byte, pieceLen)
	for {
		n, err := io.ReadFull(r, buf)
		if n > 0 {
			h := sha1.Sum(buf[:n])
			hashes = append(hashes, h[:]...)
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	info := p.info(pieceLen, hashes)
	sum := sha1.Sum([]byte(info))
	t := &Torrent{Path: path, InfoHash: hex.EncodeToString(sum[:]), Pieces: len(hashes) / 20,
		PieceLen: pieceLen, Hashes: hashes, Payload: p}
	return t, os.WriteFile(path, []byte(metafile(info, trackers)), 0o644)
}

// info encodes the info dictionary; keys are sorted, as BEP 3 wants.
func (p Payload) info(pieceLen int64, hashes []byte) string {
	var b strings.Builder
	b.WriteString("d")
	if p.Files != nil {
		b.WriteString("5:filesl")
		for _, f := range p.Files {
			fmt.Fprintf(&b, "d6:lengthi%de4:pathl", f.Size)
			for part := range strings.SplitSeq(f.Path, "/") {
				b.WriteString(bstring(part))
			}
			b.WriteString("ee")
		}
		b.WriteString("e")
	} else {
		fmt.Fprintf(&b, "6:lengthi%de", p.Size)
	}
	b.WriteString("4:name" + bstring(p.Name))
	fmt.Fprintf(&b, "12:piece lengthi%de6:pieces%s", pieceLen, bstring(string(hashes)))
	if !p.Public {
		b.WriteString("7:privatei1e")
	}
	b.WriteString(p.Extra)
	b.WriteString("e")
	return b.String()
}

func metafile(info string, trackers []string) string {
	var b strings.Builder
	b.WriteString("d")
	if len(trackers) > 0 {
		b.WriteString("8:announce" + bstring(trackers[0]) + "13:announce-listl")
		for _, t := range trackers {
			b.WriteString("l" + bstring(t) + "e")
		}
		b.WriteString("e")
	}
	b.WriteString("4:info" + info + "e")
	return b.String()
}

func bstring(s string) string { return strconv.Itoa(len(s)) + ":" + s }

// goodBytes counts the bytes of pieces below dir that match their hash. What is
// missing counts as zeros.
func (p Payload) goodBytes(dir string, pieceLen int64, hashes []byte) (int64, error) {
	var parts []io.Reader
	for _, f := range p.paths() {
		in, err := os.Open(filepath.Join(dir, filepath.FromSlash(f.Path)))
		switch {
		case os.IsNotExist(err):
			parts = append(parts, io.LimitReader(same(0), f.Size))
		case err != nil:
			return 0, err
		default:
			defer in.Close()
			parts = append(parts, io.LimitReader(io.MultiReader(in, same(0)), f.Size))
		}
	}
	r := io.MultiReader(parts...)
	buf := make([]byte, pieceLen)
	var good int64
	for ; len(hashes) > 0; hashes = hashes[20:] {
		n, err := io.ReadFull(r, buf)
		if err != nil && err != io.ErrUnexpectedEOF {
			return 0, err
		}
		if h := sha1.Sum(buf[:n]); bytes.Equal(h[:], hashes[:20]) {
			good += int64(n)
		}
	}
	return good, nil
}
