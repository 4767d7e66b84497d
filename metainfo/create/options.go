package create

import (
	"fmt"
	"path"
	"runtime"
	"strings"

	"github.com/shoal-bt/shoal/metainfo"
)

// Symlinks is what to do with symbolic links inside a folder. A link that is the
// path itself is always followed.
type Symlinks uint8

// The policies.
const (
	Follow Symlinks = iota // take what the link points to, as if it were there
	Keep                   // store the link (BEP 47); it must stay inside the folder
	Skip                   // leave it out
)

// Options say what the torrent is to be. The zero Options are fine.
type Options struct {
	Name        string // of the torrent; default: the base name of the path
	PieceLength int64  // bytes; 0 means by size
	Private     bool
	Source      string
	Outer       metainfo.Outer // trackers, web seeds, comment, creation date, ...

	Symlinks   Symlinks
	SkipHidden bool     // leave out names that begin with a dot
	KeepJunk   bool     // do not leave out what operating systems drop everywhere, see Junk
	Exclude    []string // patterns of path.Match, against the name and the path below the folder
	Executable bool     // store which files are executable (BEP 47)

	Workers int // goroutines that hash; 0 means one for each core
}

func (o *Options) workers() int {
	if o.Workers > 0 {
		return o.Workers
	}
	return runtime.GOMAXPROCS(0)
}

func (o *Options) check() error {
	for _, p := range o.Exclude {
		if _, err := path.Match(p, ""); err != nil {
			return fmt.Errorf("exclude pattern %q: %w", p, err)
		}
	}
	return nil
}

// junk are files and folders that no user means to share.
var junk = map[string]bool{
	".ds_store": true, ".appledouble": true, ".spotlight-v100": true, ".trashes": true, ".fseventsd": true,
	".temporaryitems": true, ".documentrevisions-v100": true, "thumbs.db": true, "ehthumbs.db": true,
	"desktop.ini": true, "$recycle.bin": true, "system volume information": true, "lost+found": true, ".directory": true,
}

// Junk says whether a file or folder of this name is left out unless
// Options.KeepJunk: what desktops and editors leave behind (.DS_Store, ._name,
// Thumbs.db, name~, .name.swp, .nfs0123...).
func Junk(name string) bool {
	low := strings.ToLower(name)
	return junk[low] || strings.HasPrefix(low, "._") || strings.HasPrefix(low, ".nfs0") ||
		strings.HasPrefix(low, ".trash-") || strings.HasPrefix(low, "~$") ||
		strings.HasSuffix(low, "~") && low != "~" || strings.HasPrefix(low, ".") && strings.HasSuffix(low, ".swp")
}

// excluded answers why a name is left out, "" if it is not. rel is the path below
// the folder, with slashes.
func (o *Options) excluded(name, rel string) string {
	for _, p := range o.Exclude {
		byName, _ := path.Match(p, name)
		byPath, _ := path.Match(p, rel)
		if byName || byPath {
			return "excluded by " + p
		}
	}
	switch {
	case o.SkipHidden && strings.HasPrefix(name, "."):
		return "hidden"
	case !o.KeepJunk && Junk(name):
		return "junk"
	}
	return ""
}
