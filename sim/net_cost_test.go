package sim

import (
	"runtime"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/transport"
)

// maxSimConn is what a connection at rest may cost the simulator, bytes, without the
// peers there: 1.5 kB for each end.
const maxSimConn = 3000

// TestNetConnectionsAreSmall takes the cost of connections that have been busy from
// what becomes free when the network forgets them.
func TestNetConnectionsAreSmall(t *testing.T) {
	nt := newNetTest(t, NetConfig{Latency: time.Millisecond})
	a, b := nt.n.Host(HostConfig{}), nt.n.Host(HostConfig{})
	sa, sb := slabs(256)
	heap := func() int64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	const n = 300
	var ends []*netEnd
	for range n {
		x, y := nt.connect(a, b, sa, sb)
		nt.pump(x, y, 20)
		nt.pump(y, x, 20)
		nt.run(time.Second)
		ends = append(ends, x, y)
	}
	nt.run(time.Minute) // no timer of the handshakes is left
	with := heap()
	for _, e := range ends {
		e.link = transport.Link(nil)
	}
	nt.n.conns = nil
	each := (with - heap()) / n
	t.Logf("%d bytes per connection", each)
	if each > maxSimConn || each < 500 {
		t.Errorf("a connection costs %d bytes, want at most %d", each, maxSimConn)
	}
	runtime.KeepAlive(ends)
	runtime.KeepAlive(nt)
}
