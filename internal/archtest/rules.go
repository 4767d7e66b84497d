package archtest

// modulePath is the import path of the repository's root.
const modulePath = "github.com/shoal-bt/shoal"

// Soft limits. Raise one only together with the reason.
const (
	maxFuncLines = 60  // lines of a function, braces included; a dispatch switch is free
	maxFileLines = 500 // lines of a file, tests excluded
	// maxAroundSwitch is how many lines a function may have around its one big
	// switch and still count as a dispatch.
	maxAroundSwitch = 15
)

// The layers of the program, top down. Imports point down only.
var (
	base   = []string{"bencode", "metainfo", "wire", "actor"}
	middle = []string{"picker", "choker", "storage", "transport", "dht", "tracker", "pex", "lsd", "nat"}
)

// mayImport says for each top-level folder which others its packages may import,
// their own folder aside. Test files are free. An entry "x" covers x and all
// packages below it.
var mayImport = map[string][]string{
	"internal": {},
	"actor":    {"internal/clock"},
	"bencode":  {"internal"},
	"metainfo": {"bencode", "internal"},
	"wire":     {"bencode", "metainfo", "internal"},
	"engine":   join(middle, base, []string{"internal"}),
	"sim":      join([]string{"engine"}, middle, base, []string{"internal"}),
	"cmd":      join([]string{"engine", "sim"}, middle, base, []string{"internal"}),
	"bench":    join([]string{"engine", "sim"}, middle, base, []string{"internal"}),
	"examples": join([]string{"engine"}, middle, base, []string{"internal"}),
	"interop":  {"internal"}, // drives the binary, never the packages
}

func init() {
	for _, m := range middle {
		mayImport[m] = join(base, []string{"internal"})
	}
}

// byName lists packages that a program links only if it names them, and the folders of
// those who may.
var byName = map[string][]string{
	"transport/utpanacrolix": {"cmd", "bench"},
}

// outside lists the modules that are not part of the standard library, and the folders
// of those who may use them. "*" is everybody.
var outside = map[string][]string{
	"github.com/anacrolix/utp":   {"transport/utpanacrolix"},
	"github.com/spf13/cobra":     {"cmd"},
	"github.com/spf13/pflag":     {"cmd"}, // cobra's flags
	"golang.org/x/term":          {"cmd"},
	"golang.org/x/sys":           {"storage", "transport", "internal", "cmd", "bench", "nat", "lsd", "dht"},
	"golang.org/x/time":          {"engine", "transport", "dht", "sim", "internal", "tracker"},
	"github.com/cespare/xxhash/": {"*"},
}

// pure packages turn values into values: no sockets, files, locks, clock or global
// randomness, and they do not know that actors exist.
var pure = []string{"bencode", "metainfo", "wire", "picker", "choker", "pex", "transport/mse", "transport/utp"}

// impure imports, forbidden in pure packages. A trailing slash covers the folder.
var impure = []string{
	"net", "net/http", "net/http/", "net/rpc", "net/smtp", "net/textproto",
	"os", "os/", "sync", "sync/", "context", "syscall", "log", "log/",
	"crypto/rand", "runtime/", "golang.org/x/", modulePath + "/actor",
}

// actorFolders hold actors. In engine every file counts, in the others the files
// of packages that import the runtime.
var actorFolders = []string{"engine", "storage", "tracker", "transport", "lsd", "nat", "dht"}

// outsiderFiles are the door of the engine for those who may wait: the public API, the
// assembly of the live world, the blocking Reader. They may use actor.Ask, Inlet.Put,
// channels, locks, goroutines and the clock of the calendar, but do no I/O and draw no
// randomness.
var outsiderFiles = []string{"engine/engine*.go", "engine/live*.go", "engine/reader*.go"}

// clockCalls read or wait for the real clock.
var clockCalls = set("Now", "Since", "Until", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick")

// seededRand are the functions of math/rand and math/rand/v2 that take their
// randomness from the caller; all others draw from the global source.
var seededRand = set("New", "NewPCG", "NewChaCha8", "NewSource", "NewZipf")

// harmlessSync is what handlers may use of package sync: a pool neither waits nor
// decides anything.
var harmlessSync = set("Pool")

// innocentCalls are functions of the packages os and net that do no I/O.
var innocentCalls = map[string]map[string]bool{
	"os": set("IsNotExist", "IsExist", "IsPermission", "IsTimeout", "IsPathSeparator", "NewSyscallError"),
	"net": set("JoinHostPort", "SplitHostPort", "ParseIP", "ParseCIDR", "ParseMAC", "IPv4", "IPv4Mask",
		"CIDRMask", "TCPAddrFromAddrPort", "UDPAddrFromAddrPort"),
}

// innocentMethods are methods of types of os and net that do no I/O.
var innocentMethods = set("String", "Network", "Error", "Timeout", "Temporary", "Unwrap", "Is", "AddrPort",
	"To4", "To16", "Equal", "IsLoopback", "IsPrivate", "IsUnspecified", "IsMulticast", "IsLinkLocalUnicast",
	"IsGlobalUnicast", "Contains", "Mask", "Size", "MarshalText", "Mode", "Name", "IsDir", "IsRegular", "Perm", "ModTime")

func set(names ...string) map[string]bool {
	m := make(map[string]bool, len(names))
	for _, n := range names {
		m[n] = true
	}
	return m
}

func join(lists ...[]string) []string {
	var out []string
	for _, l := range lists {
		out = append(out, l...)
	}
	return out
}
