package metainfo

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestBombs: what is small to send must be cheap to judge, accepted or not.
func TestBombs(t *testing.T) {
	for name, raw := range map[string][]byte{
		"deep lists":             bytes.Repeat([]byte("l"), 1<<20),
		"a deep file tree":       fileTree(strings.Repeat("1:dd", 90), strings.Repeat("e", 90), 20_000),
		"many empty lists":       append([]byte("d4:infol"), bytes.Repeat([]byte("le"), 5<<20)...),
		"many keys":              append([]byte("d"), bytes.Repeat([]byte("0:le"), 200_000)...),
		"files of one name":      manyFiles("d6:lengthi1e4:pathl1:aee"),
		"files of long paths":    manyFiles("d6:lengthi1e4:pathl" + strings.Repeat("1:x", 99) + "ee")[:4<<20],
		"files without a name":   manyFiles("d6:lengthi1ee"),
		"a list of trackers":     append([]byte("d13:announce-listll"), bytes.Repeat([]byte("9:http://a/"), 500_000)...),
		"pieces for no payload":  encode(t, M{"info": v1Info(M{"pieces": strings.Repeat("x", 40<<20)})}),
		"a string of 2^62 bytes": []byte("d4:info4611686018427387904:"),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := time.Now()
		_, err := Load(raw)
		took := time.Since(start)
		runtime.ReadMemStats(&after)
		if err == nil {
			t.Errorf("%s: was accepted", name)
		}
		if used, most := after.TotalAlloc-before.TotalAlloc, uint64(30*len(raw)+1<<20); used > most {
			t.Errorf("%s: took %d KiB of memory for %d KiB (%v)", name, used>>10, len(raw)>>10, err)
		}
		if took > time.Minute { // a guard against quadratic work only, which would take hours
			t.Errorf("%s: took %v", name, took)
		}
	}
}

// TestLongFolder: a tree that names a long folder once and a million files in it
// would need much memory for their paths.
func TestLongFolder(t *testing.T) {
	folder := "240:" + strings.Repeat("d", 240) + "d"
	raw := fileTree(strings.Repeat(folder, 20), strings.Repeat("e", 20), 20_000)
	if _, err := Load(raw); CodeOf(err) != TooManyFiles {
		t.Errorf("got %v", err)
	}
}

// fileTree nests a folder of n entries, the last of them broken.
func fileTree(open, end string, n int) []byte {
	var b bytes.Buffer
	b.WriteString("d4:infod9:file treed" + open)
	for i := range n {
		fmt.Fprintf(&b, "6:%06dd0:d6:lengthi0eee", i)
	}
	b.WriteString("6:zzzzzzi5e" + end + "e12:meta versioni2e4:name1:x12:piece lengthi16384eee")
	return b.Bytes()
}

func manyFiles(f string) []byte {
	files := strings.Repeat(f, min(50_000, (8<<20)/len(f)))
	n := strings.Count(files, "lengthi1e")
	return []byte(fmt.Sprintf("d4:infod5:filesl%se4:name1:x12:piece lengthi16384e6:pieces%d:%see", files, 20*(n/16384+1), strings.Repeat("h", 20*(n/16384+1))))
}

// BenchmarkLoad reads a torrent of 100,000 files.
func BenchmarkLoad(b *testing.B) {
	files := L{}
	for i := range 100_000 {
		files = append(files, M{"length": 1, "path": L{"folder", fmt.Sprintf("name-%d.txt", i)}})
	}
	raw := encode(b, M{"info": v1Info(M{"length": nil, "files": files, "pieces": strings.Repeat("h", 7*20)})})
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Load(raw); err != nil {
			b.Fatal(err)
		}
	}
}
