package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/shoal-bt/shoal/metainfo"
)

func newInfo(st streams) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "info X.torrent-or-MAGNET",
		Short: "Show what a torrent file or a link says",
		Args:  wants("X.torrent-or-MAGNET"),
		RunE: func(_ *cobra.Command, args []string) error {
			w, err := wantedSource(st, args[0])
			switch {
			case err != nil:
				return err
			case asJSON && w.torrent == nil:
				return printJSON(st, describeLink(w.link))
			case asJSON:
				return printJSON(st, describe(w.torrent))
			case w.torrent == nil:
				printLink(st.out, w.link)
			default:
				printInfo(st.out, w.torrent)
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

func newMagnet(st streams) *cobra.Command {
	var o resolveFlags
	var resolve bool
	c := &cobra.Command{
		Use:   "magnet X.torrent | magnet --resolve -o X.torrent MAGNET",
		Short: "Print a torrent file as a magnet link, or fetch the torrent file of a link",
		Long: `Print a torrent file as a magnet link; no network is needed.

With --resolve, fetch the description of the torrent that a magnet link or info-hash
names from its peers, and write it as a torrent file, with the link's trackers and web
seeds. All flags but --resolve are for that. Exit code 7: it did not come in time.`,
		Args: wants("X.torrent-or-MAGNET"),
		RunE: func(c *cobra.Command, args []string) error {
			if resolve {
				return o.resolve(st, args[0])
			}
			if err := onlyWith(c, "resolve"); err != nil {
				return err
			}
			w, err := wantedSource(st, args[0])
			if err != nil {
				return err
			}
			link := w.link
			if w.torrent != nil {
				link = w.torrent.Magnet()
			}
			_, err = fmt.Fprintln(st.out, link)
			return err
		},
	}
	f := c.Flags()
	f.BoolVar(&resolve, "resolve", false, "fetch the torrent file")
	f.StringVarP(&o.out, "output", "o", "", "`FILE` to write; - for standard output")
	f.BoolVar(&o.force, "force", false, "overwrite FILE")
	o.timeout = span{2 * time.Minute}
	f.Var(&o.timeout, "timeout", "give up after this long")
	f.BoolVar(&o.json, "json", false, "print one JSON object")
	o.finderFlags.register(f)
	return c
}

// onlyWith refuses all flags without the one that they go with.
func onlyWith(c *cobra.Command, name string) (err error) {
	c.Flags().Visit(func(f *pflag.Flag) {
		if err == nil && f.Name != name {
			err = fail(exitUsage, "--%s goes with --%s", f.Name, name)
		}
	})
	return err
}

// kindOf is v1, v2 or hybrid.
func kindOf(h metainfo.Hash) string {
	switch {
	case h.HasV1 && h.HasV2:
		return "hybrid"
	case h.HasV2:
		return "v2"
	}
	return "v1"
}

// describe is all that a torrent says, for programs.
func describe(t *metainfo.Torrent) map[string]any {
	m := map[string]any{
		"name": t.Name, "kind": kindOf(t.Hash), "size": t.Size(), "piece_length": t.Lengths.PieceLen(), "pieces": t.Lengths.Pieces(),
		"private": t.Private, "trackers": nonNil(t.Trackers), "magnet": t.Magnet().String(), "infohash": t.Hash.String(),
	}
	if t.Hash.HasV1 {
		m["infohash_v1"] = hex.EncodeToString(t.Hash.V1[:])
	}
	if t.Hash.HasV2 {
		m["infohash_v2"] = hex.EncodeToString(t.Hash.V2[:])
	}
	for key, v := range map[string]string{"comment": t.Comment, "created_by": t.CreatedBy, "source": t.Source} {
		if v != "" {
			m[key] = v
		}
	}
	if t.CreationDate != 0 {
		m["creation_date"] = t.CreationDate
	}
	if len(t.WebSeeds) > 0 {
		m["web_seeds"] = t.WebSeeds
	}
	if len(t.Nodes) > 0 {
		var nodes []string
		for _, n := range t.Nodes {
			nodes = append(nodes, n.String())
		}
		m["nodes"] = nodes
	}
	if len(t.Similar) > 0 {
		var similar []string
		for _, h := range t.Similar {
			similar = append(similar, hex.EncodeToString(h[:]))
		}
		m["similar"] = similar
	}
	m["files"] = describeFiles(t)
	return m
}

func nonNil(tiers [][]string) [][]string {
	if tiers == nil {
		return [][]string{}
	}
	return tiers
}

func describeFiles(t *metainfo.Torrent) []map[string]any {
	files := make([]map[string]any, len(t.Files))
	for i := range t.Files {
		f := &t.Files[i]
		m := map[string]any{"index": i + 1, "path": f.Path.String(), "length": f.Length}
		if f.Pad() {
			m["pad"] = true
		}
		if f.Symlink() {
			m["symlink"] = f.Target.String()
		}
		if f.Attr&metainfo.AttrExecutable != 0 {
			m["executable"] = true
		}
		if f.Attr&metainfo.AttrHidden != 0 {
			m["hidden"] = true
		}
		if root, ok := f.Root(); ok {
			m["root"] = hex.EncodeToString(root[:])
		}
		files[i] = m
	}
	return files
}

// maxShown files are listed for people; --json lists all.
const maxShown = 1000

// printInfo is what a torrent says, for people.
func printInfo(w io.Writer, t *metainfo.Torrent) {
	row := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%-14s%s\n", name, printable(fmt.Sprintf(format, args...)))
	}
	row("name", "%s", t.Name)
	if t.Hash.HasV1 {
		row("info-hash", "%x", t.Hash.V1)
	}
	if t.Hash.HasV2 {
		row("info-hash v2", "%x", t.Hash.V2)
	}
	row("kind", "%s", kindOf(t.Hash))
	row("size", "%d bytes (%s)", t.Size(), size(t.Size()))
	row("pieces", "%d of %s", t.Lengths.Pieces(), size(t.Lengths.PieceLen()))
	if t.Private {
		row("private", "yes")
	}
	if t.CreationDate != 0 {
		row("created", "%s", time.Unix(t.CreationDate, 0).UTC().Format(time.RFC3339))
	}
	if t.CreatedBy != "" {
		row("created by", "%s", t.CreatedBy)
	}
	if t.Comment != "" {
		row("comment", "%s", t.Comment)
	}
	if t.Source != "" {
		row("source", "%s", t.Source)
	}
	for i, tier := range t.Trackers {
		row(fmt.Sprintf("tier %d", i+1), "%s", strings.Join(tier, " "))
	}
	for _, u := range t.WebSeeds {
		row("web seed", "%s", u)
	}
	if !t.Hash.HasV1 {
		row("note", "this version shows v2-only torrents but can't download them yet")
	}
	row("files", "%d", len(t.Files))
	for i := range t.Files {
		if i == maxShown {
			fmt.Fprintf(w, "  … and %d more\n", len(t.Files)-maxShown)
			break
		}
		printFile(w, i, &t.Files[i])
	}
}

func printFile(w io.Writer, i int, f *metainfo.File) {
	note := ""
	switch {
	case f.Pad():
		note = "  (padding)"
	case f.Symlink():
		note = "  -> " + f.Target.String()
	}
	fmt.Fprintf(w, "%5d  %10s  %s%s\n", i+1, size(f.Length), printable(f.Path.String()), printable(note))
}

func printJSON(st streams, v any) error {
	e := json.NewEncoder(st.out)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
