package main

import (
	"github.com/spf13/cobra"

	"github.com/shoal-bt/shoal/engine"
	"github.com/shoal-bt/shoal/metainfo"
)

func newDownload(st streams) *cobra.Command {
	var o transferFlags
	c := &cobra.Command{
		Use:   "download [flags] SOURCE...",
		Short: "Download torrents, then exit",
		Long: `Download the torrents that SOURCE names (torrent files, or - for standard input),
verify them, and exit. What is there already is used; a download that was
interrupted goes on where it stopped. Three are downloaded at a time.

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
		t, err := loadSource(st, s)
		b.add(s, t, common, err)
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

// add adds a transfer; err is why there is no torrent.
func (b *batch) add(source string, t *metainfo.Torrent, add engine.AddOptions, err error) {
	x := &transfer{opt: b.opt, rep: b.rep, id: len(b.all), source: source, add: add, err: err}
	b.all = append(b.all, x)
	if err != nil {
		return
	}
	x.hash, x.name = t.Hash, t.Name
	x.add.Torrent = t
	switch {
	case !t.Hash.HasV1:
		x.err = engine.ErrV2
	case t.SSL:
		x.err = engine.ErrSSL
	default:
		x.add.Storage.Priority, x.err = b.opt.priorities(t)
	}
	if x.err != nil {
		x.err = fail(exitUsage, "%s: %w", t.Name, x.err)
	}
}
