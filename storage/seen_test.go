package storage

import "testing"

// Before every write it is recorded that a file is being written, also while another
// write to it is under way: a slow one would leave a time long after the record. Where a
// server sets the time, once is enough.
func TestEveryWriteIsAnnounced(t *testing.T) {
	fs := OS{}
	state, err := fs.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	d := NewDisk(fs, 0)
	d.state = state
	defer d.Close()
	for _, c := range []struct {
		late bool
		want int64 // records of two announcements
	}{{false, 2}, {true, 1}} {
		s := &store{disk: d, key: "k", seen: make([]seenFile, 1)}
		s.seen[0].late = c.late
		s.announceOne(0)
		one := s.logSize
		s.seen[0].writers++
		s.announceOne(0)
		if one == 0 || s.logSize != c.want*one {
			t.Errorf("late %v: %d bytes recorded, then %d", c.late, one, s.logSize)
		}
	}
}
