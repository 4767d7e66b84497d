package main

import (
	"path"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/shoal-bt/shoal/metainfo"
)

// selection says which files of a torrent are wanted.
type selection struct {
	files    string
	selects  []string
	excludes []string
}

func (s *selection) register(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&s.files, "files", "", "only these files, by their numbers in shoal info, such as `1,3-5`")
	f.StringArrayVar(&s.selects, "select", nil, "only files whose path matches `GLOB` (repeat)")
	f.StringArrayVar(&s.excludes, "exclude", nil, "not the files whose path matches `GLOB` (repeat)")
}

func (s *selection) validate() error {
	if err := checkGlobs("select", s.selects); err != nil {
		return err
	}
	return checkGlobs("exclude", s.excludes)
}

// normal is the priority of a wanted file.
const normal = 4

// priorities says how much each file is wanted: 0 is not at all. What a link selects
// (BEP 53) holds unless --files or --select say otherwise; link may be nil.
func (s *selection) priorities(t *metainfo.Torrent, link *metainfo.Magnet) ([]uint8, error) {
	prio := make([]uint8, len(t.Files))
	for i := range prio {
		prio[i] = normal
	}
	if link != nil && s.files == "" && len(s.selects) == 0 {
		if err := selectLinked(link, t, prio); err != nil {
			return nil, err
		}
	}
	if s.files != "" {
		if err := selectNumbers(s.files, prio); err != nil {
			return nil, err
		}
	}
	for i := range t.Files {
		name := t.Files[i].Path.String()
		if len(s.selects) > 0 && !matchAny(s.selects, name) || matchAny(s.excludes, name) {
			prio[i] = 0
		}
	}
	for i, p := range prio {
		if p > 0 && !t.Files[i].Pad() {
			return prio, nil
		}
	}
	return nil, fail(exitUsage, "no file of %s is selected; shoal info lists them", t.Name)
}

// selectLinked clears the priority of all files that a link does not select.
func selectLinked(link *metainfo.Magnet, t *metainfo.Torrent, prio []uint8) error {
	found := false
	for i := range prio {
		if !link.Selects(metainfo.FileIndex(i)) {
			prio[i] = 0
		}
		found = found || prio[i] > 0 && !t.Files[i].Pad()
	}
	if !found {
		return fail(exitBadTorrent, "the link selects none of its %s (so=); choose others with --files", count(len(prio), "file"))
	}
	return nil
}

// selectNumbers reads "1,3-5" and clears the priority of all other files.
func selectNumbers(list string, prio []uint8) error {
	chosen := make([]bool, len(prio))
	for part := range strings.SplitSeq(list, ",") {
		from, to, isRange := strings.Cut(strings.TrimSpace(part), "-")
		a, err := strconv.Atoi(from)
		b := a
		if err == nil && isRange {
			b, err = strconv.Atoi(to)
		}
		if err != nil || a < 1 || b < a || b > len(prio) {
			return fail(exitUsage, "--files %s: want numbers from 1 to %d, such as 1,3-5", list, len(prio))
		}
		for i := a; i <= b; i++ {
			chosen[i-1] = true
		}
	}
	for i := range prio {
		if !chosen[i] {
			prio[i] = 0
		}
	}
	return nil
}

// matchAny matches a file's path, with or without the torrent's folder, or its last
// element, against globs.
func matchAny(globs []string, name string) bool {
	_, inner, _ := strings.Cut(name, "/")
	for _, g := range globs {
		for _, s := range []string{name, inner, path.Base(name)} {
			if ok, _ := path.Match(g, s); ok {
				return true
			}
		}
	}
	return false
}

// checkGlobs refuses malformed globs, which would match nothing.
func checkGlobs(flag string, globs []string) error {
	for _, g := range globs {
		if _, err := path.Match(g, ""); err != nil {
			return fail(exitUsage, "--%s %s: %v", flag, g, err)
		}
	}
	return nil
}
