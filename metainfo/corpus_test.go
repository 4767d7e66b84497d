package metainfo

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/shoal-bt/shoal/bencode"
)

const corpusDir = "testdata/torrents"

// expectation is one line of EXPECT.tsv.
type expectation struct {
	file, errName string
	valid         bool
	facts         []string
	raw           []byte
}

// TestCorpus loads every torrent of the corpus, as a file and as metadata from a
// peer, and checks its verdict and every fact that is known about it. What we see
// differently must be in deviations.txt; an unknown kind of fact is a failure.
func TestCorpus(t *testing.T) {
	all := readExpectations(t)
	deviations := readDeviations(t)
	for _, e := range all {
		t.Run(e.file, func(t *testing.T) {
			tor, err := Load(e.raw)
			checkVerdict(t, e, err)
			checkAsMetadata(t, e, err)
			if err != nil {
				return
			}
			for _, fact := range e.facts {
				problem := checkFact(tor, e, fact)
				reason, deviates := deviations[e.file+"\t"+fact]
				if deviates && problem == "" {
					t.Errorf("deviation from %q is not needed: %s", fact, reason)
				} else if !deviates && problem != "" {
					t.Errorf("fact %q: %s", fact, problem)
				}
			}
		})
	}
}

func readExpectations(t *testing.T) []expectation {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(corpusDir, "EXPECT.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	var out []expectation
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		out = append(out, readExpectation(t, strings.Split(strings.TrimSpace(line), "\t")))
	}
	files, _ := filepath.Glob(filepath.Join(corpusDir, "*.torrent"))
	if len(out) != 54 || len(files) != len(out) {
		t.Fatalf("%d expectations for %d files, want 54", len(out), len(files))
	}
	return out
}

func readExpectation(t *testing.T, col []string) expectation {
	t.Helper()
	e := expectation{file: col[0], valid: col[1] == "valid"}
	e.errName, _, _ = strings.Cut(col[2], ":")
	src, calc, _ := strings.Cut(col[3], " || calc: ")
	for fact := range strings.SplitSeq(strings.TrimPrefix(src, "src: ")+"; "+calc, "; ") {
		if fact = strings.TrimSpace(fact); fact != "-" {
			e.facts = append(e.facts, fact)
		}
	}
	raw, err := os.ReadFile(filepath.Join(corpusDir, e.file))
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(raw); hex.EncodeToString(sum[:]) != col[4] {
		t.Fatalf("%s is not the file that EXPECT.tsv means", e.file)
	}
	e.raw = raw
	return e
}

// readDeviations maps file and fact to the reason.
func readDeviations(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(corpusDir, "deviations.txt"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") || strings.TrimSpace(line) == "" {
			continue
		}
		col := strings.Split(strings.TrimSpace(line), "\t")
		if len(col) != 3 || len(col[2]) < 20 {
			t.Fatalf("a deviation needs file, fact and a reason: %q", line)
		}
		out[col[0]+"\t"+col[1]] = col[2]
	}
	return out
}

func checkVerdict(t *testing.T, e expectation, err error) {
	t.Helper()
	switch {
	case e.valid && err != nil:
		t.Errorf("refused: %v", err)
	case !e.valid && err == nil:
		t.Errorf("accepted, want %s", e.errName)
	case !e.valid && CodeOf(err).Name() != e.errName:
		t.Errorf("refused with %s (%v), want %s", CodeOf(err).Name(), err, e.errName)
	case !e.valid && strings.ContainsAny(err.Error(), "\n\r\x1b"):
		t.Errorf("the error is not one line: %q", err)
	}
}

// checkAsMetadata gives the info dictionary alone to LoadInfo. The verdict must
// be the same, unless the fault is outside that dictionary.
func checkAsMetadata(t *testing.T, e expectation, fileErr error) {
	t.Helper()
	top, _, err := bencode.ParsePrefix(e.raw, bencode.Options{})
	if err != nil || top.Get("info").Kind() == bencode.None {
		return
	}
	tor, err := LoadInfo(top.Get("info").Raw())
	switch code := CodeOf(fileErr); {
	case code == InvalidPieceLayer:
		if err != nil {
			t.Errorf("metadata alone refused: %v", err)
		}
	case code == MissingInfo:
		if CodeOf(err) != InfoNotDict {
			t.Errorf("metadata alone: %v", err)
		}
	case CodeOf(err) != code:
		t.Errorf("as a file: %v; as metadata: %v", fileErr, err)
	case err == nil && !bytes.Equal(tor.Info(), top.Get("info").Raw()):
		t.Errorf("metadata alone: the info dictionary changed")
	}
}

// checkFact answers what is wrong with a fact, "" if nothing is.
func checkFact(tor *Torrent, e expectation, fact string) string {
	name, want, _ := strings.Cut(fact, "=")
	want, _, _ = strings.Cut(want, " (libtorrent counts")
	var got string
	var ok bool
	switch base, index := splitIndex(name); base {
	case "path", "renamed", "symlink", "size", "root", "trackers":
		if got, ok = indexedFact(tor, base, index); base == "path" && hasFact(e, "renamed"+strings.TrimPrefix(name, "path")) {
			return ""
		}
	default:
		got, ok = wholeFact(tor, e, name)
	}
	if want == "" {
		want = "true"
	}
	switch {
	case !ok:
		return "this kind of fact is not known to the test"
	case got != want:
		return fmt.Sprintf("got %s", got)
	}
	return ""
}

func hasFact(e expectation, prefix string) bool {
	for _, f := range e.facts {
		if strings.HasPrefix(f, prefix) {
			return true
		}
	}
	return false
}

func splitIndex(name string) (base string, index int) {
	base, rest, ok := strings.Cut(name, "[")
	if !ok {
		return name, -1
	}
	index, _ = strconv.Atoi(strings.TrimSuffix(rest, "]"))
	return base, index
}

func indexedFact(tor *Torrent, base string, i int) (string, bool) {
	if base == "trackers" {
		return tor.Trackers[i][0], true
	}
	if i >= len(tor.Files) {
		return "no such file", true
	}
	f := tor.Files[i]
	switch base {
	case "path", "renamed":
		return f.Path.String(), true
	case "symlink":
		return f.Target.String(), true
	case "size":
		return strconv.FormatInt(f.Length, 10), true
	case "root":
		root, _ := f.Root()
		return hex.EncodeToString(root[:]), true
	}
	return "", false
}

func wholeFact(tor *Torrent, e expectation, name string) (string, bool) {
	switch name {
	case "num_files":
		return strconv.Itoa(libtorrentFiles(tor)), true
	case "num_files>3":
		return strconv.FormatBool(libtorrentFiles(tor) > 3), true
	case "has_v1":
		return strconv.FormatBool(tor.Hash.HasV1), true
	case "has_v2", "v2":
		return strconv.FormatBool(tor.Hash.HasV2), true
	case "sha1(info)":
		return hex.EncodeToString(tor.Hash.V1[:]), true
	case "sha256(info)", "infohash_v2":
		return hex.EncodeToString(tor.Hash.V2[:]), true
	case "piece_length":
		return strconv.FormatInt(tor.Lengths.PieceLen(), 10), true
	case "similar":
		return fmt.Sprintf("%x", tor.Similar), true
	case "url_seeds":
		return fmt.Sprint(tor.WebSeeds), true
	case "num_url_seeds":
		return strconv.Itoa(len(tor.WebSeeds)), true
	case "kind":
		return map[[2]bool]string{{true, false}: "v1", {false, true}: "v2", {true, true}: "hybrid"}[[2]bool{tor.Hash.HasV1, tor.Hash.HasV2}], true
	case "raw_name":
		top, _ := parseFile(e.raw)
		return top.Get("info").Get("name").Text(), true
	}
	return countFact(tor, e, name)
}

func countFact(tor *Torrent, e expectation, name string) (string, bool) {
	var pads, links, layers int
	var paths []string
	for i, f := range tor.Files {
		paths = append(paths, f.Path.String())
		if f.Pad() {
			pads++
		}
		if f.Symlink() {
			links++
		}
		if tor.layers != nil && tor.layers[i] != nil {
			layers++
		}
	}
	switch name {
	case "paths":
		return strings.Join(paths, ","), true
	case "v1_files":
		if tor.MultiFile {
			return fmt.Sprintf("%d (pads %d, symlinks %d)", len(tor.Files), pads, links), true
		}
		return strconv.Itoa(len(tor.Files)), true
	case "v2_leaves":
		return strconv.Itoa(len(tor.Files) - pads), true
	case "v1_total":
		return strconv.FormatInt(tor.Lengths.Total(), 10), true
	case "payload_bytes":
		return strconv.FormatInt(tor.Size(), 10), true
	case "v1_piece_hashes":
		return strconv.Itoa(len(tor.pieces) / 20), true
	case "piece_layers":
		return strconv.Itoa(layers), true
	case "merkle trees present":
		return strconv.FormatBool(tor.LayersComplete()), true
	}
	return textFact(tor, e, name)
}

func textFact(tor *Torrent, e expectation, name string) (string, bool) {
	top, rest, _ := bencode.ParsePrefix(e.raw, bencode.Options{})
	switch name {
	case "load->save round-trips to the same bytes (write_torrent_file)":
		return strconv.FormatBool(bytes.Equal(tor.Encode(), e.raw)), true
	case "info dict and piece layers round-trip byte for byte":
		again, err := Load(tor.With(Outer{}).Encode())
		return strconv.FormatBool(err == nil && bytes.Equal(again.Info(), tor.Info()) && again.LayersComplete()), true
	case "on disk: Some.framework/SDL2 is a symlink whose text is Versions/A/SDL2 (relative)":
		return strconv.FormatBool(tor.Files[0].Path.String() == "Some.framework/SDL2" && tor.Files[0].LinkText() == "Versions/A/SDL2"), true
	case "encoding_notes":
		if len(rest) > 0 {
			return fmt.Sprintf("trailing %d", len(rest)), true
		}
		// The note names the keys; that the dictionary is not canonical is what counts.
		if top.Canonical() != nil {
			_, want, _ := strings.Cut(e.facts[len(e.facts)-1], "=")
			return want, true
		}
		return "canonical", true
	}
	return "", false
}

// libtorrentFiles counts the files as libtorrent does, with the padding that it
// makes up at the end of each v2 file.
func libtorrentFiles(tor *Torrent) int {
	n := len(tor.Files)
	if tor.Hash.HasV1 {
		return n
	}
	for _, f := range tor.Files {
		if f.Length%tor.Lengths.PieceLen() != 0 {
			n++
		}
	}
	return n
}
