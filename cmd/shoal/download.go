package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/shoal-bt/shoal/engine"
)

func newDownload(st streams) *cobra.Command {
	var o transferFlags
	c := &cobra.Command{
		Use:   "download [flags] SOURCE...",
		Short: "Download torrents, then exit",
		Long: `Download the torrents that SOURCE names (torrent files, magnet links, info-hashes, or -
for standard input), verify them, and exit. What is there already is used; a download
that was interrupted goes on where it stopped. Three are downloaded at a time.

A link needs no tracker: peers are found by trackers, the DHT, other peers (PEX) and on
the local network (LSD), whichever answers. The description of the torrent is fetched
from them first; --files, --select, --exclude and the link's own choice of files hold
as soon as it is there. A link of the form magnet:?xs=urn:btpk:KEY names a torrent that
changes: its newest version is downloaded, and with --seed each later one as well.

Paths of finished files go to standard output, everything else to standard error;
with --json, events go to standard output instead. See shoal help exit-codes.`,
		Args: wants("SOURCE..."),
		RunE: func(_ *cobra.Command, args []string) error { return o.download(st, args) },
	}
	o.register(c)
	return c
}

// download carries out the command.
func (o *transferFlags) download(st streams, sources []string) error {
	b, common, err := o.newBatch(st)
	if err != nil {
		return err
	}
	o.many = len(sources) > 1
	for _, s := range sources {
		w, err := wantedSource(st, s)
		b.add(s, w, common, err)
	}
	b.refuseClashes()
	return b.run()
}

// newBatch checks the flags and makes an empty batch of them, and what they say of
// each torrent.
func (o *transferFlags) newBatch(st streams) (*batch, engine.AddOptions, error) {
	if err := o.validate(); err != nil {
		return nil, engine.AddOptions{}, err
	}
	cfg, err := o.config()
	if err != nil {
		return nil, engine.AddOptions{}, err
	}
	common, err := o.common()
	if err != nil {
		return nil, common, err
	}
	return &batch{opt: o, st: st, cfg: cfg, rep: newReporter(st, o.json)}, common, nil
}

// add adds a transfer; err is why there is nothing to transfer.
func (b *batch) add(source string, w wanted, add engine.AddOptions, err error) {
	x := &transfer{opt: b.opt, rep: b.rep, id: len(b.all), source: source, add: add, err: err}
	b.all = append(b.all, x)
	if err != nil {
		return
	}
	x.hash, x.name = w.hash(), w.name()
	x.add.Torrent, x.add.Magnet = w.torrent, w.link
	switch {
	case w.link != nil && w.link.Mutable != nil:
		x.follows = w.link.Mutable
		if b.cfg.NoDHT {
			x.err = errors.New("a torrent that changes is found by the DHT alone; leave out --no-dht and --private")
		}
	case !x.hash.HasV1:
		x.err = engine.ErrV2
	case w.torrent == nil:
		x.add.Choose = x.chosen
	case w.torrent.SSL:
		x.err = engine.ErrSSL
	default:
		x.add.Storage.Priority, x.err = x.opt.priorities(w.torrent, nil)
	}
	if x.err != nil {
		x.err = fail(exitUsage, "%s: %w", x.name, x.err)
	}
}
