package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/shoal-bt/shoal/engine"
	"github.com/shoal-bt/shoal/internal/scenario"
)

// Wrong command lines are a table: testdata/usage.txt.
func TestUsage(t *testing.T) {
	s := newSwarm(t, options{files: payload{"a": 40_000, "b": 20_000}, idle: true})
	scenario.Run(t, "testdata/usage.txt", func() scenario.Player { return &typist{s} })
}

// typist types a command line and prints what came of it.
type typist struct{ *swarm }

func (p *typist) Do(t *testing.T, c scenario.Command) string {
	args := []string{c.Name}
	for _, a := range c.Args {
		a = strings.ReplaceAll(a, "TORRENT", p.file)
		args = append(args, strings.ReplaceAll(a, "*urn", "=urn")) // the scenario keeps "=" for itself
	}
	o := shoal(args...)
	if o.out != "" {
		t.Errorf("%v wrote to stdout: %s", args, o.out)
	}
	if strings.Count(o.err, "\n") != 1 || !strings.HasPrefix(o.err, "shoal: ") {
		t.Errorf("%v: want one line on stderr: %q", args, o.err)
	}
	return fmt.Sprintf("%d %s", o.code, strings.NewReplacer(p.file, "TORRENT", engine.Version, "VERSION", "=urn", "*urn").Replace(o.err))
}

func TestHelpListsWhatIsThereAndNothingElse(t *testing.T) {
	help := shoal("--help").want(t, 0).out
	for _, name := range []string{"download", "seed", "create", "info", "magnet", "verify", "bencode", "peers", "handshake", "piece",
		"tracker", "dht", "demo", "version", "completion", "exit-codes"} {
		if !strings.Contains(help, "  "+name) && !strings.Contains(help, "shoal "+name) {
			t.Errorf("help does not name %s", name)
		}
	}
	for _, name := range laterCommands {
		if strings.Contains(help, "\n  "+name+" ") {
			t.Errorf("help names %s, which is not there", name)
		}
	}
	flags := shoal("download", "--help").want(t, 0).out
	for _, name := range []string{"--output", "--port", "--bind", "--peer", "--tracker", "--seed", "--seed-ratio", "--seed-time", "--timeout", "--files",
		"--select", "--exclude", "--sequential", "--picker", "--choker", "--down-limit", "--up-limit", "--max-peers", "--no-trackers", "--check",
		"--no-dht", "--no-pex", "--no-lsd", "--dht-bootstrap", "--transport", "--encryption", "--private", "--state-dir", "--memory-limit", "--verbose", "--log-level", "--log-file", "--json"} {
		if !strings.Contains(flags, name) {
			t.Errorf("help of download lacks %s", name)
		}
	}
	for _, name := range []string{"--proxy", "--ip-filter", "--no-nat"} {
		if strings.Contains(flags, name) {
			t.Errorf("help of download names %s, which can do nothing yet", name)
		}
	}
}

func TestHelpOfExitCodes(t *testing.T) {
	out := shoal("help", "exit-codes").want(t, 0).out
	for _, code := range []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 130, 143} {
		if !strings.Contains(out, fmt.Sprintf("\n  %3d  ", code)) {
			t.Errorf("%d is missing", code)
		}
	}
}

func TestCompletionAndVersion(t *testing.T) {
	for _, sh := range []string{"bash", "zsh", "fish", "powershell"} {
		if out := shoal("completion", sh).want(t, 0).out; !strings.Contains(out, "shoal") || len(out) < 500 {
			t.Errorf("completion for %s: %d bytes", sh, len(out))
		}
	}
	if out := shoal("__complete", "download", "--pi").want(t, 0).out; !strings.Contains(out, "--picker") {
		t.Errorf("flags are not completed: %s", out)
	}
	if out := shoal("version").want(t, 0).out; !strings.HasPrefix(out, "shoal 0.") {
		t.Errorf("version: %q", out)
	}
	if out := shoal("version", "--json").want(t, 0).out; !strings.Contains(out, `"version":"0.`) {
		t.Errorf("version --json: %q", out)
	}
}
