package main

import (
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	o := options{clients: []string{"shoal", "libtorrent"}, rows: []string{"leech", "check"}, rounds: 3, size: 1 << 30, piece: 1 << 20, out: "tmpfs"}
	var runs []result
	for _, v := range []float64{300, 100, 200} {
		runs = append(runs,
			result{Row: "leech", Client: "shoal", MiBs: 2 * v, LeechCPU: v / 100, SeedCPU: 9, RSS: 5 << 20, Anon: 3 << 20},
			result{Row: "leech", Client: "libtorrent", MiBs: v, LeechCPU: v / 50, SeedCPU: 9})
	}
	runs = append(runs, result{Row: "check", Client: "shoal", MiBs: 1000, SeedCPU: 1})
	got := table(runs, o)
	for _, want := range []string{
		"| leech | shoal | 400 (200-600) | 2.00 (1.00-3.00) | 9.00 (9.00-9.00) | 5 / 3 | 2.00 | 0.50 |",
		"| leech | libtorrent | 200 (100-300) | 4.00 (2.00-6.00) | 9.00 (9.00-9.00) | 0 / 0 | 1.00 | 1.00 |",
		"| check | shoal | 1000 (1000-1000) | - | 1.00 (1.00-1.00) | 0 / 0 | - | - |",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no line\n%s\nin\n%s", want, got)
		}
	}
}

func TestSpread(t *testing.T) {
	if got := spreadOf([]float64{4, 1, 3, 2}); got != (spread{2.5, 1, 4}) {
		t.Errorf("even count: %v", got)
	}
	if got := spreadOf([]float64{7}); got != (spread{7, 7, 7}) {
		t.Errorf("one: %v", got)
	}
}

// The rows of uTP compare with libtorrent against itself, each client with that at its
// own place.
func TestTableOfUTP(t *testing.T) {
	o := options{clients: []string{"shoal", anacrolix, "libtorrent"}, rows: withUTP([]string{"utp"}), rounds: 1, size: 1 << 28, piece: 1 << 20, out: "tmpfs"}
	got := table([]result{
		{Row: "utp-self", Client: "libtorrent", MiBs: 20, LeechCPU: 10, SeedCPU: 8},
		{Row: "utp-self", Client: "shoal", MiBs: 200, LeechCPU: 1, SeedCPU: 2},
		{Row: "utp-leech", Client: "shoal", MiBs: 40, LeechCPU: 5, SeedCPU: 8},
		{Row: "utp-seed", Client: "shoal", MiBs: 30, LeechCPU: 5, SeedCPU: 2},
	}, o)
	for _, want := range []string{
		"| utp-self | shoal | 200 (200-200) | 1.00 (1.00-1.00) | 2.00 (2.00-2.00) | 0 / 0 | 10.00 | 0.17 |",
		"| utp-leech | shoal | 40 (40-40) | 5.00 (5.00-5.00) | 8.00 (8.00-8.00) | 0 / 0 | 2.00 | 0.50 |",
		"| utp-seed | shoal | 30 (30-30) | 5.00 (5.00-5.00) | 2.00 (2.00-2.00) | 0 / 0 | 1.50 | 0.25 |",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no line\n%s\nin\n%s", want, got)
		}
	}
	for _, c := range []struct {
		row, client string
		want        bool
	}{
		{"utp-seed", "libtorrent", true}, {"utp-self", "libtorrent", false}, {"utp-leech", anacrolix, false},
		{"leech", anacrolix, true}, {"utp-self", "aria2", true}, {"leech", "aria2", false},
	} {
		if got := pointless(c.row, c.client); got != c.want {
			t.Errorf("%s of %s is pointless: %v", c.row, c.client, got)
		}
	}
}
