package metainfo

import "strings"

const (
	// maxHops is how many links may stand in each other's way, as in Linux.
	maxHops = 40
	// maxTarget is how long a target may become on the way, in bytes.
	maxTarget = 4096
)

// linkMap is what is needed to judge symbolic links: all paths are seen from the
// torrent's folder, with slashes.
type linkMap struct {
	files map[string]bool   // value: is itself a link
	dirs  map[string]bool   // folders that files are in
	links map[string]string // links that may be folders, and their targets
}

// resolveLinks judges the targets of all symbolic links. A target must be a file
// or folder of this torrent, perhaps through other links. BEP 47: "symlink path:
// An array of strings. Path of the symlink target relative to the torrent root
// directory." Many torrents have it relative to the link, which is accepted. A
// link with any other target is made to point to itself.
func (l *fileList) resolveLinks() {
	m := l.linkMap()
	if m == nil {
		return
	}
	var doubtful []int
	for i := range l.files {
		if l.files[i].Symlink() && !m.plainTarget(l.inner(l.files[i].Path), &l.files[i].Target) {
			doubtful = append(doubtful, i)
		}
	}
	for _, i := range doubtful {
		if f := &l.files[i]; !m.leadsInside(f.Target.s) {
			f.Target = Path{l.inner(f.Path)}
		}
	}
	for i := range l.files {
		if l.files[i].Symlink() {
			l.files[i].Target = l.outer(l.files[i].Target)
		}
	}
}

// linkMap is nil if there are no links: the usual case.
func (l *fileList) linkMap() *linkMap {
	var m *linkMap
	for i := range l.files {
		if l.files[i].Symlink() {
			m = &linkMap{files: map[string]bool{}, dirs: map[string]bool{}, links: map[string]string{}}
			break
		}
	}
	if m == nil {
		return nil
	}
	for i := range l.files {
		p := l.inner(l.files[i].Path)
		if _, ok := m.files[p]; !ok {
			m.files[p] = l.files[i].Symlink()
		}
		for d := parent(p); d != "" && !m.dirs[d]; d = parent(d) {
			m.dirs[d] = true
		}
	}
	return m
}

func parent(p string) string { return p[:max(strings.LastIndexByte(p, '/'), 0)] }

// inner is a path without the torrent's folder.
func (l *fileList) inner(p Path) string {
	if l.multi {
		return strings.TrimPrefix(p.s, l.root+"/")
	}
	return p.s
}

func (l *fileList) outer(p Path) Path {
	if l.multi {
		return Path{l.root + "/" + p.s}
	}
	return p
}

// plainTarget accepts a target that is listed, from the root or from the link's
// own folder, and notes what the link may be a folder for.
func (m *linkMap) plainTarget(link string, target *Path) bool {
	for _, t := range []string{target.s, parent(link) + "/" + target.s} {
		isLink, isFile := m.files[t]
		if isFile && !isLink {
			*target = Path{t}
			return true
		}
		if isFile || m.dirs[t] {
			*target = Path{t}
			m.links[link] = t
			return true
		}
	}
	m.links[link] = target.s
	return false
}

// leadsInside follows a target through other links, each at most once.
func (m *linkMap) leadsInside(target string) bool {
	passed := map[string]bool{}
	for at := 0; ; {
		n := strings.IndexByte(target[at:], '/')
		if n < 0 {
			_, isFile := m.files[target]
			return isFile || m.dirs[target]
		}
		head := target[:at+n]
		if m.dirs[head] {
			at += n + 1
			continue
		}
		to, ok := m.links[head]
		if !ok || passed[head] || len(passed) == maxHops || len(to)+len(target)-len(head) > maxTarget {
			return false
		}
		passed[head] = true
		target, at = to+target[at+n:], 0
	}
}
