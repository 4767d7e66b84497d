package utp

import (
	"slices"
	"testing"
	"time"
)

// The bottleneck of these experiments: 1 Mbit/s, 500 ms of buffer, 50 ms of round trip
// without queue. 100 ms of standing queue are 12.5 kB.
const (
	linkRate  = 125_000
	linkDelay = 25 * ms
)

func newLink() *bottleneck {
	return &bottleneck{rate: linkRate, buffer: linkRate / 2, delay: linkDelay}
}

// flow starts an endless upload through the link.
func (w *world) flow(cfg *Config, link *bottleneck) *end {
	a, b := w.connect(cfg, link, &noisy{delay: linkDelay, jitter: ms})
	a.toWrite = 1 << 40
	a.unchecked, b.unchecked = true, true
	a.output()
	b.output()
	w.flush()
	return a
}

// queueOver lets time pass and returns the median and mean wait at the link, seen
// every 10 ms.
func (w *world) queueOver(link *bottleneck, d Duration) (median, mean Duration) {
	var waits []Duration
	var sum Duration
	for range int(d / (10 * ms)) {
		w.run(10*ms, forever)
		waits = append(waits, link.wait(w.now))
		sum += waits[len(waits)-1]
	}
	slices.Sort(waits)
	return waits[len(waits)/2], sum / Duration(len(waits))
}

// One flow holds the queue at the target and fills the link.
func TestLedbatStandingQueue(t *testing.T) {
	for _, plain := range []bool{false, true} {
		for seed := range uint64(2) {
			w := newWorld(t, seed)
			link := newLink()
			a := w.flow(&Config{Plain: plain}, link)
			w.run(20*time.Second, forever)
			before := link.sent
			median, mean := w.queueOver(link, 100*time.Second)
			util := float64(link.sent-before) / linkRate / 100
			t.Logf("plain %v, seed %d: queue median %v, mean %v, utilisation %.3f, %+v", plain, seed, median, mean, util, a.m.Stats())
			if median < 85*ms || median > 115*ms || mean < 85*ms || mean > 115*ms {
				t.Errorf("queue %v, mean %v, want 100 ± 15 ms", median, mean)
			}
			if util < 0.95 {
				t.Errorf("utilisation %.3f, want 0.95", util)
			}
		}
	}
}

// A flow that comes when another has filled the queue ends with its half. By RFC 6817
// alone it would take nearly all, for it cannot see the queue that was there before.
func TestLedbatLateComer(t *testing.T) {
	for _, plain := range []bool{false, true} {
		for seed := range uint64(2) {
			w := newWorld(t, seed)
			link := newLink()
			cfg := &Config{Plain: plain}
			first := w.flow(cfg, link)
			w.run(30*time.Second, forever)
			second := w.flow(cfg, link)
			w.run(60*time.Second, forever)
			f, s := first.other.got, second.other.got
			w.run(120*time.Second, forever)
			f, s = first.other.got-f, second.other.got-s
			share := float64(s) / float64(f+s)
			t.Logf("plain %v, seed %d: the late-comer has %.3f, both %.3f of the link; queue %v", plain, seed, share,
				float64(f+s)/linkRate/120, link.wait(w.now))
			if !plain && (share < 0.35 || share > 0.65) {
				t.Errorf("share %.3f, want 0.50 ± 0.15", share)
			}
			if plain && share < 0.7 {
				t.Errorf("share %.3f by RFC 6817 alone, expected more than 0.70", share)
			}
		}
	}
}

// Against one Reno flow a LEDBAT flow yields.
func TestLedbatYieldsToReno(t *testing.T) {
	for _, first := range []string{"ledbat", "reno"} {
		for seed := range uint64(2) {
			w := newWorld(t, seed)
			link := newLink()
			var a *end
			r := &reno{w: w, link: link, segment: 1448, cwnd: 2, threshold: 1 << 20}
			if first == "ledbat" {
				a = w.flow(&Config{}, link)
				w.run(10*time.Second, forever)
			}
			r.start()
			if a == nil {
				r.run(10 * time.Second)
				a = w.flow(&Config{}, link)
			}
			r.run(30 * time.Second)
			began, sent := a.other.got, r.delivered
			r.run(100 * time.Second)
			u, v := a.other.got-began, r.delivered-sent
			share := float64(u) / float64(u+v)
			t.Logf("%s first, seed %d: uTP has %.3f, both %.3f of the link; %d drops", first, seed, share, float64(u+v)/linkRate/100, link.drops)
			if share > 0.1 {
				t.Errorf("share %.3f, want at most 0.10", share)
			}
		}
	}
}
