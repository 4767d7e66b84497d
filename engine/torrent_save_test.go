package engine

import (
	"reflect"
	"testing"

	"github.com/shoal-bt/shoal/metainfo"
)

func TestSavedFactsComeBack(t *testing.T) {
	for _, s := range []saved{
		{renamed: map[metainfo.FileIndex]string{}},
		{downEver: 1 << 50, upEver: 7, priority: []uint8{0, 4, 7}, trackers: []string{"http://a.test/a", "udp://b.test:6"},
			peers:   []savedPeer{{ap("1.2.3.4:5"), sourcesOf("td")}, {ap("[2001:db8::1]:65535"), 0}},
			renamed: map[metainfo.FileIndex]string{0: "a/b", 17: "ünï/ c"}},
	} {
		got, err := decodeSaved(s.encode())
		if err != nil || !reflect.DeepEqual(got, s) {
			t.Errorf("%+v came back as %+v, %v", s, got, err)
		}
	}
}

// FuzzDecodeSaved: what lies on disk may be anything; what is taken of it can be saved
// again.
func FuzzDecodeSaved(f *testing.F) {
	s := saved{downEver: 5, priority: []uint8{4}, trackers: []string{"x"}, peers: []savedPeer{{ap("1.2.3.4:5"), sourcesOf("up")}},
		renamed: map[metainfo.FileIndex]string{1: "y"}}
	f.Add(s.encode())
	f.Add([]byte("d4:downi-1e5:peersl3:x:1e7:renamedd2:-1i3eee"))
	f.Add([]byte("d4:down"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := decodeSaved(raw)
		if err != nil {
			return
		}
		again, err := decodeSaved(s.encode())
		if err != nil || !reflect.DeepEqual(again, s) {
			t.Errorf("%+v came back as %+v, %v", s, again, err)
		}
	})
}
