package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/shoal-bt/shoal/internal/clients"
)

// bench holds what all runs share.
type bench struct {
	lab     clients.Lab
	opts    options
	payload clients.Payload
	torrent *clients.Torrent
	source  string // folder of the complete payload
	sink    string // folder of the output
	addrs   int
	utp     bool              // this run is over uTP
	primed  map[string]string // client -> folder with the state of a seed that knows its data
}

// result is one run.
type result struct {
	Row      string  `json:"row"`
	Client   string  `json:"client"`
	Seconds  float64 `json:"seconds"`
	MiBs     float64 `json:"mib_per_s"`
	LeechCPU float64 `json:"leech_cpu_s_per_gib"`
	SeedCPU  float64 `json:"seed_cpu_s_per_gib"`
	RSS      int64   `json:"peak_rss"`
	Anon     int64   `json:"peak_anon"`
}

func (r result) String() string {
	return fmt.Sprintf("%-6s %-13s %5.0f MiB/s  leecher %.2f  seed %.2f CPU-s/GiB", r.Row, r.Client, r.MiBs, r.LeechCPU, r.SeedCPU)
}

func newBench(lab clients.Lab, o options) (*bench, error) {
	b := &bench{lab: lab, opts: o, payload: clients.SingleFile("payload.bin", o.size), primed: map[string]string{},
		source: filepath.Join(lab.Scratch, "source"), sink: filepath.Join(lab.Scratch, "sink")}
	if o.out == "disk" {
		b.sink = filepath.Join(lab.Disk, "sink")
	}
	if err := b.payload.Write(b.source, 7); err != nil {
		return nil, err
	}
	var err error
	b.torrent, err = b.payload.MakeTorrent(b.source, filepath.Join(lab.Scratch, "x.torrent"), o.piece, "http://10.77.0.1:1/announce")
	return b, err
}

func (b *bench) clientNamed(name string) (clients.Client, error) {
	switch name {
	case "shoal":
		return clients.Shoal{Bin: os.Getenv("SHOAL_BIN"), Flags: b.opts.shoalFlags}, nil
	case anacrolix:
		return b.anacrolixUTP(), nil
	case "libtorrent":
		return clients.Libtorrent{}, nil
	case "aria2":
		return clients.Aria2{}, nil
	case "transmission":
		return clients.Transmission{}, nil
	case "qbittorrent":
		return clients.QBittorrent{}, nil
	case "rtorrent":
		return clients.RTorrent{}, nil
	}
	return nil, fmt.Errorf("no client is named %q", name)
}

// measure does one run; a zero result means that the client cannot do it.
func (b *bench) measure(ctx context.Context, row, name string) (result, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	if pointless(row, name) {
		return result{}, nil
	}
	c, err := b.clientNamed(name)
	if err != nil {
		return result{}, err
	}
	lt := clients.Libtorrent{}
	var r result
	kind, utp := strings.CutPrefix(row, utpPrefix)
	if b.utp = utp; utp && name == "shoal" {
		c = b.overUTP(c)
	}
	switch kind {
	case "leech":
		r, err = b.transfer(ctx, lt, c)
	case "seed":
		r, err = b.transfer(ctx, c, lt)
	case "self":
		if name == "aria2" || name == "transmission" {
			return result{}, nil // neither can be told to connect
		}
		r, err = b.transfer(ctx, c, c)
	case "check":
		r, err = b.check(ctx, c)
	default:
		return result{}, fmt.Errorf("no row is named %q", row)
	}
	r.Row, r.Client = row, name
	return r, err
}

func (b *bench) addr() netip.AddrPort {
	b.addrs++
	return clients.Addr(b.addrs+1, 6881)
}

// job makes a job with fresh folders.
func (b *bench) job(seed bool) clients.Job {
	j := clients.Job{Addr: b.addr(), Torrent: b.torrent, Seed: seed, Data: b.sink}
	j.Dir = filepath.Join(b.lab.Scratch, "run", j.Addr.Addr().String())
	if seed {
		j.Data = b.source
	}
	return j
}

// jobOf is a job of a client that takes part in a transfer.
func (b *bench) jobOf(c clients.Client, seed bool) clients.Job {
	j := b.job(seed)
	if c.Name() == "libtorrent" {
		j.Options = b.opts.encryption.libtorrent
		if b.utp {
			j.Options = clients.LibtorrentUTP
		}
	}
	return j
}

// emptySink makes the output ready: new, or allocated and wrong.
func (b *bench) emptySink() error {
	if b.opts.out == "disk" {
		if err := os.RemoveAll(b.sink); err != nil {
			return err
		}
		return os.MkdirAll(b.sink, 0o755)
	}
	return b.payload.Spoil(b.sink, b.opts.piece)
}

// transfer lets one client fetch from another and measures both.
func (b *bench) transfer(ctx context.Context, seed, leech clients.Client) (result, error) {
	if err := b.emptySink(); err != nil {
		return result{}, err
	}
	defer os.RemoveAll(filepath.Join(b.lab.Scratch, "run"))
	seedJob, leechJob := b.jobOf(seed, true), b.jobOf(leech, false)
	to, err := leech.Start(ctx, b.checking(leech, leechJob))
	if err != nil {
		return result{}, err
	}
	defer to.Stop()
	if err := to.Ready(ctx); err != nil {
		return result{}, err
	}
	late := seed.Name() == "shoal" && leech.Name() == "shoal"
	if late {
		// Shoal takes its peers at the start: the seed, which must not check its data
		// within the measurement, starts from the state of an earlier run.
		if err := b.prime(ctx, seed, &seedJob); err != nil {
			return result{}, err
		}
		seedJob.Peers = []netip.AddrPort{leechJob.Addr}
	}
	m := meter{leech: to, toBefore: to.Proc().Usage(), began: time.Now()}
	from, err := seed.Start(ctx, seedJob)
	if err != nil {
		return result{}, err
	}
	defer from.Stop()
	m.seed = from
	if !late {
		if err := from.Ready(ctx); err != nil {
			return result{}, err
		}
		m.start()
		if err := connect(ctx, from, to, seedJob.Addr, leechJob.Addr); err != nil {
			return result{}, err
		}
	}
	return m.finish(ctx, b.opts.size, seed.Name() == "libtorrent" && leech.Name() != "libtorrent")
}

// checking lets a leecher look at wrong data that is there before it is measured.
func (b *bench) checking(c clients.Client, j clients.Job) clients.Job {
	if c.Name() == "aria2" && b.opts.out == "tmpfs" {
		j.Options = append(j.Options, "--check-integrity=true")
	}
	return j
}

// connect makes whoever can connect to the other.
func connect(ctx context.Context, from, to clients.Run, seed, leech netip.AddrPort) error {
	err := from.Dial(ctx, leech)
	if errors.Is(err, clients.ErrCannotDial) {
		err = to.Dial(ctx, seed)
	}
	return err
}

// prime runs a seed once, so that its state folder knows the data, and makes the job
// use that folder. It seeds as a download that has ended: shoal seed would hash again.
func (b *bench) prime(ctx context.Context, c clients.Client, j *clients.Job) error {
	j.Seed = false
	if dir := b.primed[c.Name()]; dir != "" {
		j.Dir = dir
		return nil
	}
	j.Dir = filepath.Join(b.lab.Scratch, "primed-"+c.Name())
	r, err := c.(clients.Shoal).Run(ctx, *j)
	if err != nil {
		return err
	}
	defer r.Stop()
	if err := clients.WaitDone(ctx, r); err != nil {
		return err
	}
	if _, err := r.Finish(ctx); err != nil {
		return err
	}
	b.primed[c.Name()] = j.Dir
	return nil
}

// meter measures one transfer.
type meter struct {
	seed, leech          clients.Run
	fromBefore, toBefore clients.Usage
	began                time.Time
}

func (m *meter) start() {
	m.fromBefore, m.toBefore, m.began = m.seed.Proc().Usage(), m.leech.Proc().Usage(), time.Now()
}

// finish waits for completion. Memory is that of the client under test.
func (m *meter) finish(ctx context.Context, size int64, leechTested bool) (result, error) {
	tested := m.seed
	if leechTested {
		tested = m.leech
	}
	anon := tested.Proc().PeakAnon()
	err := complete(ctx, m.leech)
	took := time.Since(m.began)
	to, from := m.leech.Proc().Usage(), m.seed.Proc().Usage()
	peak := anon()
	if err != nil {
		return result{}, err
	}
	gib := float64(size) / (1 << 30)
	return result{
		Seconds: took.Seconds(), MiBs: float64(size) / (1 << 20) / took.Seconds(),
		LeechCPU: (to.CPU - m.toBefore.CPU).Seconds() / gib,
		SeedCPU:  (from.CPU - m.fromBefore.CPU).Seconds() / gib,
		RSS:      tested.Proc().Usage().RSS, Anon: peak,
	}, nil
}

// complete waits until a leecher has everything, in the way that costs it least.
func complete(ctx context.Context, r clients.Run) error {
	if w, ok := r.(interface{ Complete(context.Context) error }); ok {
		return w.Complete(ctx)
	}
	return clients.WaitDone(ctx, r)
}

// check measures how fast data that is there is hashed: by shoal verify, or from the
// start of a seed until it is ready.
func (b *bench) check(ctx context.Context, c clients.Client) (result, error) {
	defer os.RemoveAll(filepath.Join(b.lab.Scratch, "run"))
	gib := float64(b.opts.size) / (1 << 30)
	j := b.job(true)
	began := time.Now()
	var used clients.Usage
	if s, ok := c.(clients.Shoal); ok {
		p, err := s.Offline(ctx, j.Dir, "verify", j.Torrent.Path, "--data", j.Data)
		if err != nil {
			return result{}, err
		}
		used = p.Usage()
	} else {
		r, err := c.Start(ctx, j)
		if err != nil {
			return result{}, err
		}
		defer r.Stop()
		if err := r.Ready(ctx); err != nil {
			return result{}, err
		}
		used = r.Proc().Usage()
	}
	took := time.Since(began)
	return result{Seconds: took.Seconds(), MiBs: float64(b.opts.size) / (1 << 20) / took.Seconds(),
		SeedCPU: used.CPU.Seconds() / gib, RSS: used.RSS, Anon: used.Anon}, nil
}
