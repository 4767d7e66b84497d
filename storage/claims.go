//pump: around a table that all workers share: which torrent a file belongs to.

package storage

import "github.com/cespare/xxhash/v2"

// claim is whose file it is. Torrents may share files, as when the same data are
// seeded to two swarms, but only the first one writes.
type claim struct {
	owner *store
	users int
}

// pathHash names a file's present place.
func (s *store) pathHash(i int32) uint64 {
	return xxhash.Sum64String(s.path(s.where(i)))
}

// claimAll says that the torrent's files are in use. It is called behind a fence,
// also after they have got other names.
func (s *store) claimAll() {
	s.disk.mu.Lock()
	defer s.disk.mu.Unlock()
	s.unclaimLocked()
	s.claims = map[int32]uint64{}
	for i := range int32(len(s.lay.files)) {
		if s.lay.hasData(i) && s.place.Has(i) {
			s.claimLocked(i)
		}
	}
}

func (s *store) claimLocked(i int32) {
	h := s.pathHash(i)
	c := s.disk.claims[h]
	if c == nil {
		c = &claim{owner: s}
		s.disk.claims[h] = c
	}
	c.users++
	s.claims[i] = h
}

func (s *store) unclaimLocked() {
	for _, h := range s.claims {
		c := s.disk.claims[h]
		if c.users--; c.users == 0 {
			delete(s.disk.claims, h)
		} else if c.owner == s {
			c.owner = nil
		}
	}
	s.claims = nil
}

// claim reports whether the torrent may write a file, and takes it if nobody has it.
func (s *store) claim(i int32) bool {
	s.disk.mu.Lock()
	defer s.disk.mu.Unlock()
	h, ok := s.claims[i]
	if !ok {
		s.claimLocked(i)
		h = s.claims[i]
	}
	c := s.disk.claims[h]
	if c.owner == nil {
		c.owner = s
	}
	return c.owner == s
}

// shared reports whether another torrent uses a file too.
func (s *store) shared(i int32) bool {
	s.disk.mu.Lock()
	defer s.disk.mu.Unlock()
	h, ok := s.claims[i]
	return ok && s.disk.claims[h].users > 1
}
