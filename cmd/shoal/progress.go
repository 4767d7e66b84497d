package main

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/shoal-bt/shoal/engine"
)

// percent is how much of what is wanted is there.
func (p *progress) percent() float64 {
	if p.Wanted <= 0 {
		return 100
	}
	return float64(p.Done) * 100 / float64(p.Wanted)
}

// amount is the first half of every view: how much is there.
func (p *progress) amount() string {
	switch {
	case p.phase == resolving:
		return "looking up what the key names"
	case p.State == engine.FetchingMetadata && p.MetadataTotal > 0:
		return fmt.Sprintf("metadata %d/%d pieces", p.MetadataDone, p.MetadataTotal)
	case p.State == engine.FetchingMetadata:
		return "metadata"
	case p.State == engine.Checking:
		return fmt.Sprintf("checking %d of %d pieces", p.Checked, p.CheckTotal)
	}
	return fmt.Sprintf("%.1f%%  %s of %s", floor1(p.percent()), size(p.Done), size(p.Wanted))
}

// resolving is the phase in which a key is looked up, before there is a torrent.
const resolving = "resolving"

// nameless reports whether it is not known yet what there is to download.
func (p *progress) nameless() bool {
	return p.State == engine.FetchingMetadata || p.phase == resolving
}

// floor1 keeps what is not complete from being shown as 100.0.
func floor1(v float64) float64 { return float64(int64(v*10)) / 10 }

// remaining is what else there is to say: the time left, or what goes on instead.
func (p *progress) remaining() string {
	switch {
	case p.Err != "":
		return p.Err
	case p.phase == "downloading" && p.eta >= 0:
		return "ETA " + p.eta.Round(time.Second).String()
	case p.phase == "checking", p.nameless():
		return ""
	}
	return p.phase
}

// plainLine tells how far a torrent is in one line of a log.
func plainLine(p progress) string {
	parts := []string{short(p.Name, 40), p.amount()}
	switch {
	case p.phase == resolving, p.State == engine.Checking:
	case p.nameless():
		parts = append(parts, count(p.Peers, "peer"))
	default:
		parts = append(parts, "down "+size(p.DownRate)+"/s", "up "+size(p.UpRate)+"/s", count(p.Peers, "peer"))
	}
	if s := p.remaining(); s != "" {
		parts = append(parts, s)
	}
	return oneLine(strings.Join(parts, ", "))
}

// fullView draws one torrent in three lines.
func fullView(p progress, rates []int64, width int, rich bool) []string {
	first := []string{short(p.Name, max(width/2, 20)), p.amount()}
	if s := p.remaining(); s != "" {
		first = append(first, s)
	}
	if p.State == engine.Checking {
		return []string{strings.Join(first, "  "), " " + bar(int(p.Checked), int(p.CheckTotal), width-4, rich)}
	}
	if p.nameless() {
		second := []string{" " + count(p.Peers, "peer") + ", " + addresses(p.Known) + " known"}
		if p.said != "" {
			second = append(second, p.said)
		}
		return []string{strings.Join(first, "  "), strings.Join(second, "  ")}
	}
	second := []string{" down " + size(p.DownRate) + "/s " + graph(rates, rich), "up " + size(p.UpRate) + "/s",
		count(p.Peers, "peer") + " (" + count(p.Seeds, "seed") + ")", fmt.Sprintf("availability %.1f", p.Availability),
		fmt.Sprintf("ratio %.2f", ratio(p.UpEver, p.DownEver))}
	var third []string
	if p.HashFails > 0 {
		third = append(third, count(p.HashFails, "piece")+" failed, "+count(p.Banned, "peer")+" banned")
	}
	if p.said != "" {
		third = append(third, p.said)
	}
	rest := strings.Join(third, "  ")
	room := min(max(width-len(rest)-5, 10), 60)
	return []string{strings.Join(first, "  "), strings.Join(second, "  "), " " + pieceBar(p.Field, int(p.Pieces), room, rich) + "  " + rest}
}

// shortViews draws several torrents, a line each, and what they do together.
func shortViews(ps []progress, width int, rich bool) []string {
	var down, up, left int64
	lines := make([]string, 0, len(ps)+1)
	for _, p := range ps {
		down, up, left = down+p.DownRate, up+p.UpRate, left+p.Wanted-p.Done
		lines = append(lines, fmt.Sprintf("%s %s  %s  down %s/s  %s", pieceBar(p.Field, int(p.Pieces), 10, rich),
			short(p.Name, max(width/3, 16)), p.amount(), size(p.DownRate), p.remaining()))
	}
	return append(lines, fmt.Sprintf("together  down %s/s  up %s/s  %s to go", size(down), size(up), size(left)))
}

// oneLineOfAll is for a terminal that must not get escape codes.
func oneLineOfAll(ps []progress) string {
	if len(ps) == 1 {
		return plainLine(ps[0])
	}
	parts := make([]string, len(ps))
	for i, p := range ps {
		parts[i] = fmt.Sprintf("%s %.1f%% %s/s", short(p.Name, 16), floor1(p.percent()), size(p.DownRate))
	}
	return strings.Join(parts, ", ")
}

// count is a number of things, in words.
func count[N ~int32 | ~int](n N, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

func ratio(up, down int64) float64 {
	if down <= 0 {
		return 0
	}
	return float64(up) / float64(down)
}

// shades of a cell: how much of its pieces is there.
func shades(rich bool) []rune {
	if rich {
		return []rune(" ░▒▓█")
	}
	return []rune(" .:=#")
}

// pieceBar draws which pieces are there; each cell stands for a range of them.
func pieceBar(field []byte, pieces, cells int, rich bool) string {
	cells = min(cells, pieces)
	if cells <= 0 || len(field) < (pieces+7)/8 {
		return "[]"
	}
	shade := shades(rich)
	var b strings.Builder
	b.WriteByte('[')
	for c := range cells {
		from, to := c*pieces/cells, (c+1)*pieces/cells
		have := 0
		for i := from; i < to; i++ {
			if field[i/8]&(0x80>>(i%8)) != 0 {
				have++
			}
		}
		b.WriteRune(shade[have*(len(shade)-1)/(to-from)])
	}
	b.WriteByte(']')
	return b.String()
}

// bar draws how much of total is done.
func bar(done, total, cells int, rich bool) string {
	shade := shades(rich)
	cells = min(max(cells, 10), 60)
	full := min(done*cells/max(total, 1), cells)
	return "[" + strings.Repeat(string(shade[len(shade)-1]), full) + strings.Repeat(" ", cells-full) + "]"
}

// graph draws rates, the highest as the highest.
func graph(rates []int64, rich bool) string {
	if !rich {
		return ""
	}
	steps := []rune("▁▂▃▄▅▆▇█")
	var top int64 = 1
	for _, r := range rates {
		top = max(top, r)
	}
	var b strings.Builder
	for _, r := range rates {
		b.WriteRune(steps[int(r*int64(len(steps)-1)/top)])
	}
	return b.String()
}

// printable keeps what a torrent says from commanding the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r >= 0x200b && r <= 0x200f || r >= 0x202a && r <= 0x202e || r >= 0x2060 && r <= 0x2069 {
			return '�'
		}
		return r
	}, s)
}

// short cuts a name to n columns.
func short(s string, n int) string {
	if s = printable(s); columns(s) > n {
		return cut(s, n-1) + "…"
	}
	return s
}

// fit cuts a line to a terminal's width, or fills it up with spaces.
func fit(s string, width int, fill bool) string {
	if n := columns(s); n > width {
		s = cut(s, width)
	} else if fill {
		s += strings.Repeat(" ", width-n)
	}
	return s
}

func cut(s string, n int) string {
	for i, r := range s {
		if n -= columnsOf(r); n < 0 {
			return s[:i]
		}
	}
	return s
}

func columns(s string) (n int) {
	for _, r := range s {
		n += columnsOf(r)
	}
	return n
}

// columnsOf is how wide terminals draw a character: what combines with others takes
// no room, what stems from East Asia and pictures two columns.
func columnsOf(r rune) int {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case r >= 0x1100 && r <= 0x115f, r >= 0x2e80 && r <= 0xa4cf, r >= 0xac00 && r <= 0xd7a3, r >= 0xf900 && r <= 0xfaff,
		r >= 0xfe30 && r <= 0xfe6f, r >= 0xff00 && r <= 0xff60, r >= 0xffe0 && r <= 0xffe6, r >= 0x1f300 && r <= 0x1faff,
		r >= 0x20000 && r <= 0x3fffd:
		return 2
	}
	return 1
}
