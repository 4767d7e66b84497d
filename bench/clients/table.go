package main

import (
	"cmp"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
)

// cell is the summary of the runs of one client in one row.
type cell struct {
	row, client       string
	n                 int
	mibs              spread
	leechCPU, seedCPU spread
	rss, anon         int64
}

// spread is median, least and most.
type spread struct{ mid, min, max float64 }

func (s spread) show(format string) string {
	return fmt.Sprintf(format+" ("+format+"-"+format+")", s.mid, s.min, s.max)
}

func spreadOf(v []float64) spread {
	slices.Sort(v)
	n := len(v)
	return spread{(v[(n-1)/2] + v[n/2]) / 2, v[0], v[n-1]}
}

// cells groups runs by row and client, in the order of the flags.
func cells(results []result, o options) []cell {
	var out []cell
	for _, row := range o.rows {
		for _, client := range o.clients {
			c := cell{row: row, client: client}
			var mibs, leech, seed []float64
			for _, r := range results {
				if r.Row != row || r.Client != client {
					continue
				}
				c.n++
				mibs, leech, seed = append(mibs, r.MiBs), append(leech, r.LeechCPU), append(seed, r.SeedCPU)
				c.rss, c.anon = max(c.rss, r.RSS), max(c.anon, r.Anon)
			}
			if c.n > 0 {
				c.mibs, c.leechCPU, c.seedCPU = spreadOf(mibs), spreadOf(leech), spreadOf(seed)
				out = append(out, c)
			}
		}
	}
	return out
}

// baseOf is the row in which libtorrent stands for comparison with a row.
func baseOf(row string) string {
	if strings.HasPrefix(row, utpPrefix) {
		return utpPrefix + "self"
	}
	return row
}

// like is the CPU of another cell's client in the place that c's has.
func (c cell) like(other cell) float64 {
	other.row = c.row
	return other.tested()
}

// tested is the CPU of the client under test.
func (c cell) tested() float64 {
	switch strings.TrimPrefix(c.row, utpPrefix) {
	case "leech":
		return c.leechCPU.mid
	case "self":
		return c.leechCPU.mid + c.seedCPU.mid
	}
	return c.seedCPU.mid
}

// table prints the comparison as Markdown. Ratios are to libtorrent in the same row:
// above 1 is faster, and for CPU dearer.
func table(results []result, o options) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s, %s %s/%s; %d MiB in pieces of %d KiB, output %s; median (min-max) of %d\n\n",
		machine(), runtime.Version(), runtime.GOOS, runtime.GOARCH, o.size>>20, o.piece>>10, o.out, o.rounds)
	b.WriteString("| row | client | MiB/s | leecher CPU-s/GiB | seed CPU-s/GiB | peak RSS / anon MiB | MiB/s : libtorrent | CPU : libtorrent |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|\n")
	all := cells(results, o)
	for _, c := range all {
		base := slices.IndexFunc(all, func(x cell) bool { return x.row == baseOf(c.row) && x.client == "libtorrent" })
		speed, cpu := "-", "-"
		if base >= 0 {
			speed = fmt.Sprintf("%.2f", c.mibs.mid/all[base].mibs.mid)
			cpu = fmt.Sprintf("%.2f", c.tested()/c.like(all[base]))
		}
		leech := c.leechCPU.show("%.2f")
		if c.row == "check" {
			leech = "-"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %d / %d | %s | %s |\n", c.row, c.client, c.mibs.show("%.0f"),
			leech, c.seedCPU.show("%.2f"), c.rss>>20, c.anon>>20, speed, cpu)
	}
	return b.String()
}

// machine names the processor and how many there are.
func machine() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	_, rest, _ := strings.Cut(string(b), "model name")
	line, _, _ := strings.Cut(rest, "\n")
	model := strings.TrimSpace(strings.TrimLeft(line, "\t :"))
	return fmt.Sprintf("%s, %d cores", cmp.Or(model, "unknown processor"), runtime.NumCPU())
}
