package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/shoal-bt/shoal/engine"
)

// progressLine tells how far a torrent is in one line; with a width it is cut to
// that and gets a piece bar.
func progressLine(s engine.TorrentStats, eta time.Duration, width int) string {
	pct := 100.0
	if s.Wanted > 0 {
		pct = float64(s.Done) * 100 / float64(s.Wanted)
	}
	parts := []string{fmt.Sprintf("%5.1f%%", pct), fmt.Sprintf("%s of %s", size(s.Done), size(s.Wanted))}
	switch s.State {
	case engine.Checking:
		parts = []string{fmt.Sprintf("checking %d of %d pieces", s.Checked, s.CheckTotal)}
	default:
		parts = append(parts, "down "+size(s.DownRate)+"/s", "up "+size(s.UpRate)+"/s", fmt.Sprintf("%d peers", s.Peers))
	}
	if eta >= 0 && s.State == engine.Downloading {
		parts = append(parts, "ETA "+eta.Round(time.Second).String())
	}
	if s.State == engine.Seeding {
		parts = append(parts, "seeding")
	}
	if s.Err != "" {
		parts = append(parts, s.Err)
	}
	line := printable(s.Name)
	if len([]rune(line)) > 30 {
		line = string([]rune(line)[:29]) + "…"
	}
	line += "  " + strings.Join(parts, "  ")
	if width <= 0 {
		return line
	}
	if room := width - len([]rune(line)) - 4; room >= 10 {
		line += " " + pieceBar(s.Field, int(s.Pieces), min(room, 40))
	}
	if r := []rune(line); len(r) > width-1 {
		line = string(r[:max(width-1, 0)])
	}
	return line
}

// bars are the shades of a cell: how much of its pieces is there.
var bars = []rune(" ░▒▓█")

// pieceBar draws which pieces are there; each cell stands for a range of them.
func pieceBar(field []byte, pieces, cells int) string {
	if pieces == 0 || len(field) < (pieces+7)/8 {
		return ""
	}
	var b strings.Builder
	b.WriteByte('[')
	for c := range min(cells, pieces) {
		from, to := c*pieces/min(cells, pieces), (c+1)*pieces/min(cells, pieces)
		have := 0
		for i := from; i < to; i++ {
			if field[i/8]&(0x80>>(i%8)) != 0 {
				have++
			}
		}
		b.WriteRune(bars[have*(len(bars)-1)/max(to-from, 1)])
	}
	b.WriteByte(']')
	return b.String()
}

// printable keeps what a torrent says from commanding the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f || r >= 0x80 && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return '�'
		}
		return r
	}, s)
}
