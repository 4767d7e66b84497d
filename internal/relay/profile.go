package relay

import (
	"time"

	"github.com/shoal-bt/shoal/internal/netpath"
)

// Profile is a path: what datagrams meet on their way there and back.
type Profile struct {
	Name        string
	There, Back netpath.Config
}

// both makes a profile whose directions are alike; rtt is that of both together.
func both(name string, rtt time.Duration, c netpath.Config) Profile {
	c.Delay = rtt / 2
	return Profile{Name: name, There: c, Back: c}
}

// Profiles are the paths that every implementation of uTP has to bear. Times are
// those of a round trip, chances those of one way.
func Profiles() []Profile {
	return []Profile{
		both("50ms-0.5%", 50*time.Millisecond, netpath.Config{Loss: 5000}),
		both("200ms-1%", 200*time.Millisecond, netpath.Config{Loss: 10_000}),
		both("10ms-reorder", 10*time.Millisecond, netpath.Config{Reorder: 100_000, Duplicate: 50_000}),
		both("mtu-1280", 10*time.Millisecond, netpath.Config{MTU: 1280}),
		both("clean-20ms", 20*time.Millisecond, netpath.Config{}),
		both("adsl", 40*time.Millisecond, netpath.Config{Rate: 1_250_000, Buffer: 375_000}),
	}
}

// Named finds a profile.
func Named(name string) (Profile, bool) {
	for _, p := range Profiles() {
		if p.Name == name {
			return p, true
		}
	}
	return Profile{}, false
}
