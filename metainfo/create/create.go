package create

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/shoal-bt/shoal/metainfo"
)

// Result is a new torrent and how it came about.
type Result struct {
	Torrent *metainfo.Torrent // Torrent.Encode is the file
	Dir     string            // the folder in which its data is: what a download would have as output
	Skipped []Skipped         // what was left out, in order
}

// Progress is told how many of total bytes are hashed, at each megabyte or so
// and at the end; never by two goroutines at once.
type Progress func(done, total int64)

// FromPath makes a torrent of a file, or of a folder and all that is in it, and
// reads every byte of it. progress may be nil. Errors carry the name of the file:
// those of the disk as they are, *metainfo.Error for what no torrent can hold,
// the context's when it ends first.
func FromPath(ctx context.Context, path string, o Options, progress Progress) (*Result, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(abs)
	if err != nil {
		return nil, err
	}
	s := &scan{ctx: ctx, opts: &o, root: abs}
	b := metainfo.Builder{Name: o.Name, PieceLength: o.PieceLength, Private: o.Private, Source: o.Source, Outer: o.Outer}
	if b.Name == "" {
		b.Name = filepath.Base(abs)
	}
	if err := s.fill(&b, info); err != nil {
		return nil, err
	}
	if b.Total() == 0 {
		return nil, fmt.Errorf("%s: nothing to share: no file has any bytes", path)
	}
	if err := s.hash(&b, progress); err != nil {
		return nil, err
	}
	t, err := b.Build()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &Result{Torrent: t, Dir: filepath.Dir(abs), Skipped: s.skipped}, nil
}

// fill lists the files of the torrent.
func (s *scan) fill(b *metainfo.Builder, info os.FileInfo) error {
	if info.IsDir() {
		if err := s.folder(s.root, nil, info); err != nil {
			return err
		}
		b.Files = s.files
		return nil
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s: no regular file", s.root)
	}
	b.Length = info.Size()
	s.sources = []source{{s.root, b.Length}}
	return nil
}

// hash checks the names before it reads anything, since reading may take hours.
func (s *scan) hash(b *metainfo.Builder, progress Progress) error {
	l, err := b.Lengths()
	if err != nil {
		return fmt.Errorf("%s: %w", s.root, err)
	}
	b.PieceLength = l.PieceLen()
	b.Pieces = make([]byte, 20*int(l.Pieces()))
	if _, err := b.Build(); err != nil {
		return fmt.Errorf("%s: %w", s.root, err)
	}
	h := newHashing(l, s.opts.workers(), progress)
	b.Pieces, err = h.run(s.ctx, s.sources)
	return err
}
