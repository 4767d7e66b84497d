//pump: reads and writes small files.

package engine

import (
	"os"
	"path/filepath"
	"sync"

	"github.com/shoal-bt/shoal/actor"
)

// maxKept bounds what is read back, bytes: an info dictionary is the largest.
const maxKept = maxMetadata

// liveKeeper is the Keeper of the real world: a file for each name, written by one
// goroutine, and replaced at once so that a crash leaves the old one.
type liveKeeper struct {
	dir  string
	mu   sync.Mutex // guards all below
	want map[string][]byte
	wake chan struct{}
	over chan struct{}
	done chan struct{}
}

func newLiveKeeper(dir string) *liveKeeper {
	k := &liveKeeper{dir: dir, want: map[string][]byte{}, wake: make(chan struct{}, 1),
		over: make(chan struct{}), done: make(chan struct{})}
	go k.run()
	return k
}

// Load implements Keeper.
func (k *liveKeeper) Load(name string, reply actor.Ref[Kept]) {
	go func() {
		k.mu.Lock()
		b, waits := k.want[name]
		k.mu.Unlock()
		if !waits {
			b = k.read(name)
		}
		reply.Tell(Kept{b})
	}()
}

func (k *liveKeeper) read(name string) []byte {
	path := k.path(name)
	if st, err := os.Stat(path); err != nil || st.Size() > maxKept {
		return nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil // the node begins anew
	}
	return b
}

// Save implements Keeper. Of several values of a name the last one is written.
func (k *liveKeeper) Save(name string, b []byte) {
	k.mu.Lock()
	k.want[name] = b
	k.mu.Unlock()
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

func (k *liveKeeper) path(name string) string { return filepath.Join(k.dir, name+".dat") }

func (k *liveKeeper) run() {
	defer close(k.done)
	for over := false; !over; {
		select {
		case <-k.wake:
		case <-k.over:
			over = true
		}
		k.writeAll()
	}
}

func (k *liveKeeper) writeAll() {
	k.mu.Lock()
	want := k.want
	k.want = map[string][]byte{}
	k.mu.Unlock()
	for name, b := range want { //order: irrelevant
		k.write(name, b)
	}
}

// write replaces a file. Without it the next start takes longer, which is all.
func (k *liveKeeper) write(name string, b []byte) {
	if b == nil {
		_ = os.Remove(k.path(name)) // at worst it stays, and is of no use
		return
	}
	if os.MkdirAll(k.dir, 0o755) != nil {
		return
	}
	f, err := os.CreateTemp(k.dir, name+".*.tmp")
	if err != nil {
		return
	}
	_, err = f.Write(b)
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), k.path(name))
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
}

// close writes what is left.
func (k *liveKeeper) close() {
	close(k.over)
	<-k.done
}
