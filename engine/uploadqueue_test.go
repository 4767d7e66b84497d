package engine

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestUploadQueueRuns reads testdata/uploadruns.txt: after "in:" requests as
// piece:begin+length, after "limit" the most bytes of a read, after "out:" the reads,
// with the number of their requests.
func TestUploadQueueRuns(t *testing.T) {
	f, err := os.Open("testdata/uploadruns.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var q uploadQueue
	limit := int64(uploadRun)
	line := 0
	for s := bufio.NewScanner(f); s.Scan(); {
		line++
		word, rest, _ := strings.Cut(s.Text(), " ")
		switch word {
		case "in:":
			for _, f := range strings.Fields(rest) {
				var u uploadAsk
				if _, err := fmt.Sscanf(f, "%d:%d+%d", &u.piece, &u.begin, &u.length); err != nil {
					t.Fatalf("line %d: %q: %v", line, f, err)
				}
				q.push(u)
			}
		case "limit":
			fmt.Sscan(rest, &limit)
		case "out:":
			var out []string
			for q.n > 0 {
				r := q.next(limit)
				out = append(out, fmt.Sprintf("%d:%d+%d/%d", r.piece, r.begin, r.length, r.n))
			}
			if got := strings.Join(out, " "); got != rest {
				t.Errorf("line %d:\n got  %s\n want %s", line, got, rest)
			}
			limit = uploadRun
		}
	}
	if line == 0 {
		t.Fatal("no cases")
	}
}

// What is asked for again soon is asked for once.
func TestUploadQueueIsASet(t *testing.T) {
	var q uploadQueue
	for i := range uint32(100) {
		q.push(uploadAsk{1, i, 10})
		q.push(uploadAsk{1, i - min(i, lookBack-1), 10})
	}
	if q.n != 100 {
		t.Fatalf("%d of 100", q.n)
	}
	if q.remove(uploadAsk{1, 50, 11}) || !q.remove(uploadAsk{1, 50, 10}) || q.remove(uploadAsk{1, 50, 10}) {
		t.Fatal("removed wrongly")
	}
	q.takeIf(func(u uploadAsk) bool { return u.begin >= 10 })
	for i := range uint32(10) {
		if got := q.pop(); got.begin != i {
			t.Fatalf("order was lost: %v at %d", got, i)
		}
	}
	if q.shrink(); q.ring != nil {
		t.Fatal("keeps its ring")
	}
}

func TestUploadQueueIsBounded(t *testing.T) {
	var q uploadQueue
	for i := range uint32(requestsIn) {
		if q.push(uploadAsk{0, i, 1}) {
			t.Fatalf("full at %d", i)
		}
	}
	if !q.push(uploadAsk{1, 0, 1}) || q.push(uploadAsk{0, requestsIn - 5, 1}) || q.n != requestsIn {
		t.Fatal("not full, or full for what is there")
	}
}
