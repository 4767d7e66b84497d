package swarm

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/sim"
)

// seeds is how many seeds a test runs: a few, or SHOAL_SIM_SEEDS.
func seeds(t *testing.T, few int) int {
	t.Helper()
	if raceEnabled {
		return 1
	}
	if s := os.Getenv("SHOAL_SIM_SEEDS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			t.Fatalf("SHOAL_SIM_SEEDS=%q", s)
		}
		return n
	}
	return few
}

// twenty is a swarm of 20 engine peers around 64 MiB.
func twenty(seed uint64) Config {
	size := int64(64 << 20)
	if raceEnabled {
		size = 8 << 20
	}
	return Config{Seed: seed, Order: sim.Order(seed % 2), Leechers: 19, Size: size, PieceLen: 256 << 10,
		Jitter: 5 * time.Millisecond, Join: 10 * time.Second}
}

// runOnce runs a swarm to its end and returns its hash.
func runOnce(cfg Config) (uint64, error) {
	s, err := New(cfg)
	if err != nil {
		return 0, err
	}
	if err := s.Run(time.Hour); err != nil {
		return 0, fmt.Errorf("seed %d: %w", cfg.Seed, err)
	}
	if err := s.Close(); err != nil {
		return 0, fmt.Errorf("seed %d, at the end: %w", cfg.Seed, err)
	}
	return s.Hash(), nil
}

// childEnv makes this test binary run seeds "first last" and print their hashes.
const childEnv = "SHOAL_SWARM_CHILD"

func TestMain(m *testing.M) {
	if span := os.Getenv(childEnv); span != "" {
		os.Exit(child(span))
	}
	os.Exit(m.Run())
}

func child(span string) int {
	var first, last uint64
	if _, err := fmt.Sscanf(span, "%d %d", &first, &last); err != nil {
		fmt.Println(err)
		return 2
	}
	for seed := first; seed <= last; seed++ {
		h, err := runOnce(twenty(seed))
		if err != nil {
			fmt.Println(err)
			return 1
		}
		fmt.Printf("%d %016x\n", seed, h)
	}
	return 0
}

// inChild runs seeds in a process of its own.
func inChild(t *testing.T, procs int, seeds int) string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=1 %d", childEnv, seeds), fmt.Sprintf("GOMAXPROCS=%d", procs))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("GOMAXPROCS=%d: %v\n%s", procs, err, out)
	}
	return string(out)
}

func TestTwentyPeersCompleteAndRepeat(t *testing.T) {
	n := seeds(t, 2)
	results := make(chan string, 2)
	for procs := 1; procs <= 2; procs++ {
		go func() { results <- inChild(t, procs, n) }()
	}
	one, two := <-results, <-results
	if one != two {
		t.Fatalf("the same seeds gave different runs:\n%s\n%s", one, two)
	}
	if got := strings.Count(one, "\n"); got != n {
		t.Fatalf("%d runs of %d:\n%s", got, n, one)
	}
}

func TestSmallSwarmsInManyShapes(t *testing.T) {
	for name, cfg := range map[string]Config{
		"one to one":       {Leechers: 1, Size: 4 << 20},
		"odd sizes":        {Leechers: 3, Size: 3<<20 + 777, PieceLen: 100_000},
		"one short piece":  {Leechers: 2, Size: 1000},
		"big pieces":       {Leechers: 3, Size: 16 << 20, PieceLen: 4 << 20},
		"little memory":    {Leechers: 4, Size: 16 << 20, PieceLen: 1 << 20, Memory: 2 << 20},
		"cut connections":  {Leechers: 5, Size: 8 << 20, Lifetime: 3 * time.Second},
		"far apart":        {Leechers: 4, Size: 8 << 20, Latency: 300 * time.Millisecond},
		"sequential":       {Leechers: 4, Size: 8 << 20, Picker: "sequential"},
		"random":           {Leechers: 4, Size: 8 << 20, Picker: "random"},
		"round robin":      {Leechers: 4, Size: 8 << 20, Choker: "seed-round-robin"},
		"shuffled":         {Leechers: 6, Size: 8 << 20, Order: sim.Shuffle, Join: 5 * time.Second},
		"two seeds":        {Seeds: 2, Leechers: 4, Size: 8 << 20},
		"arrive over time": {Leechers: 8, Size: 8 << 20, Join: time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			cfg.Seed = 7
			a, err := runOnce(cfg)
			if err != nil {
				t.Fatal(err)
			}
			b, err := runOnce(cfg)
			if err != nil {
				t.Fatal(err)
			}
			if a != b {
				t.Fatalf("two runs of one seed differ: %x, %x", a, b)
			}
		})
	}
}

// BenchmarkTwentyPeers reports the CPU time of one block delivered to one of 19
// leechers, everything included: engine, storage's actor, network model.
func BenchmarkTwentyPeers(b *testing.B) {
	for b.Loop() {
		if _, err := runOnce(twenty(1)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(19*4096), "ns/block")
}
