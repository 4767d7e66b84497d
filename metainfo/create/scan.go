package create

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/shoal-bt/shoal/metainfo"
)

// Skipped is something below the path that is not in the torrent.
type Skipped struct {
	Path   string // on disk
	Reason string
}

// source is a file to be hashed.
type source struct {
	disk string // path on disk
	size int64  // bytes, when it was listed
}

// scan lists what belongs to the torrent.
type scan struct {
	ctx     context.Context
	opts    *Options
	root    string // the folder, absolute
	files   []metainfo.BuildFile
	sources []source // those of files that have bytes, in their order
	skipped []Skipped
	parents []fs.FileInfo // folders being listed, to notice links in a circle
}

// folder lists one folder; rel are its names below the root.
func (s *scan) folder(disk string, rel []string, info fs.FileInfo) error {
	if err := s.ctx.Err(); err != nil {
		return err
	}
	if len(rel) >= metainfo.MaxDirDepth {
		return fmt.Errorf("%s: folders in more than %d levels", disk, metainfo.MaxDirDepth)
	}
	for _, p := range s.parents {
		if os.SameFile(p, info) {
			return fmt.Errorf("%s: symbolic links lead in a circle", disk)
		}
	}
	s.parents = append(s.parents, info)
	defer func() { s.parents = s.parents[:len(s.parents)-1] }()
	entries, err := os.ReadDir(disk) // sorted by name
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := s.entry(filepath.Join(disk, e.Name()), append(rel[:len(rel):len(rel)], e.Name())); err != nil {
			return err
		}
	}
	return nil
}

func (s *scan) entry(disk string, rel []string) error {
	if why := s.opts.excluded(rel[len(rel)-1], strings.Join(rel, "/")); why != "" {
		s.skip(disk, why)
		return nil
	}
	info, err := os.Lstat(disk)
	if err != nil {
		return err
	}
	if info.Mode()&fs.ModeSymlink == 0 {
		return s.add(disk, rel, info)
	}
	switch s.opts.Symlinks {
	case Skip:
		s.skip(disk, "symbolic link")
		return nil
	case Keep:
		return s.link(disk, rel)
	}
	if info, err = os.Stat(disk); err != nil {
		return fmt.Errorf("symbolic link %s: %w", disk, err)
	}
	return s.add(disk, rel, info)
}

func (s *scan) skip(disk, why string) { s.skipped = append(s.skipped, Skipped{disk, why}) }

// add takes a file or folder. What is neither has no bytes to share.
func (s *scan) add(disk string, rel []string, info fs.FileInfo) error {
	switch {
	case info.IsDir():
		return s.folder(disk, rel, info)
	case !info.Mode().IsRegular():
		s.skip(disk, "no regular file")
		return nil
	case len(s.files) >= metainfo.MaxFiles:
		return fmt.Errorf("%s: more than %d files", s.root, metainfo.MaxFiles)
	}
	f := metainfo.BuildFile{Path: rel, Length: info.Size()}
	if s.opts.Executable && info.Mode()&0o111 != 0 {
		f.Attr |= metainfo.AttrExecutable
	}
	s.files = append(s.files, f)
	if f.Length > 0 {
		s.sources = append(s.sources, source{disk, f.Length})
	}
	return nil
}

// link stores a symbolic link with its target as seen from the root.
func (s *scan) link(disk string, rel []string) error {
	text, err := os.Readlink(disk)
	if err != nil {
		return err
	}
	target, err := filepath.Rel(s.root, filepath.Join(filepath.Dir(disk), text))
	if err != nil || filepath.IsAbs(text) || !filepath.IsLocal(target) || target == "." {
		return fmt.Errorf("symbolic link %s points to %q, outside the torrent", disk, text)
	}
	s.files = append(s.files, metainfo.BuildFile{
		Path:   rel,
		Attr:   metainfo.AttrSymlink,
		Target: strings.Split(filepath.ToSlash(target), "/"),
	})
	return nil
}
