package archtest

import (
	"fmt"
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// Tree is a parsed source tree. It is built once and only read afterwards.
type Tree struct {
	fset *token.FileSet
	pkgs map[string]*Package // by folder, "." for the root
}

// Package is one folder of Go files.
type Package struct {
	Dir   string // slash-separated, relative to the root
	Files []*File
	typed *typed // filled by (*Tree).check
}

// File is one Go file with what the rules ask about it.
type File struct {
	Path    string // slash-separated, relative to the root
	Test    bool
	Pump    bool // declares itself a pump or worker
	Lines   int
	AST     *ast.File
	Imports map[string]string // local name -> path, of named or guessed imports
	marks   map[int]string    // line -> text of the comment that ends there
}

// Problem is one broken rule.
type Problem struct {
	Rule string
	Pos  token.Position
	Text string
}

func (p Problem) String() string {
	return fmt.Sprintf("%s:%d: %s: %s", p.Pos.Filename, p.Pos.Line, p.Rule, p.Text)
}

// Load parses all Go files of fsys but those in testdata, hidden and vendored
// folders. A file that does not parse is an error: nothing could be said about it.
func Load(fsys fs.FS) (*Tree, error) {
	t := &Tree{fset: token.NewFileSet(), pkgs: map[string]*Package{}}
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && skipDir(name):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, ".go"):
			return nil
		}
		src, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		return t.add(name, src)
	})
	return t, err
}

func skipDir(name string) bool {
	b := path.Base(name)
	return b != "." && (b == "testdata" || b == "vendor" || b[0] == '.' || b[0] == '_')
}

func (t *Tree) add(name string, src []byte) error {
	f, err := parser.ParseFile(t.fset, name, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	dir := path.Dir(name)
	p := t.pkgs[dir]
	if p == nil {
		p = &Package{Dir: dir}
		t.pkgs[dir] = p
	}
	p.Files = append(p.Files, &File{
		Path:    name,
		Test:    strings.HasSuffix(name, "_test.go"),
		Pump:    isPump(f),
		Lines:   t.fset.File(f.Pos()).LineCount(),
		AST:     f,
		Imports: importNames(f),
		marks:   lineComments(t.fset, f),
	})
	return nil
}

// packages returns the packages in a stable order.
func (t *Tree) packages() []*Package {
	out := make([]*Package, 0, len(t.pkgs))
	for _, p := range t.pkgs {
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b *Package) int { return strings.Compare(a.Dir, b.Dir) })
	return out
}

func (t *Tree) problem(rule string, at token.Pos, format string, args ...any) Problem {
	return Problem{Rule: rule, Pos: t.fset.Position(at), Text: fmt.Sprintf(format, args...)}
}

// code returns the files that end up in the program.
func (p *Package) code() []*File {
	return slices.DeleteFunc(slices.Clone(p.Files), func(f *File) bool { return f.Test })
}

// top is the first element of the package's folder.
func (p *Package) top() string {
	first, _, _ := strings.Cut(p.Dir, "/")
	return first
}

var pumpLine = regexp.MustCompile(`(?m)^//\s?pump:\s*\S`)

// isPump reports whether the file begins with a "//pump:" comment line.
func isPump(f *ast.File) bool {
	for _, g := range f.Comments {
		if g.Pos() > f.Package {
			break
		}
		for _, c := range g.List {
			if pumpLine.MatchString(c.Text) {
				return true
			}
		}
	}
	return false
}

var version = regexp.MustCompile(`^v[0-9]+$`)

// importNames maps the names under which a file knows its imports to their paths.
// For unnamed imports the name is guessed from the path, which fits everything in use.
func importNames(f *ast.File) map[string]string {
	names := map[string]string{}
	for _, s := range f.Imports {
		p, _ := strconv.Unquote(s.Path.Value)
		name := path.Base(p)
		if version.MatchString(name) {
			name = path.Base(path.Dir(p))
		}
		if s.Name != nil {
			name = s.Name.Name
		}
		names[name] = p
	}
	return names
}

func lineComments(fset *token.FileSet, f *ast.File) map[int]string {
	out := map[int]string{}
	for _, g := range f.Comments {
		for _, c := range g.List {
			out[fset.Position(c.End()).Line] = c.Text
		}
	}
	return out
}

// marked reports whether the comment beside or directly above pos begins with the
// mark. A mark that ends in a colon wants a reason behind it.
func (t *Tree) marked(f *File, pos token.Pos, mark string) bool {
	line := t.fset.Position(pos).Line
	for _, l := range []int{line, line - 1} {
		text := strings.TrimSpace(strings.TrimPrefix(f.marks[l], "//"))
		rest, ok := strings.CutPrefix(text, mark)
		if ok && (!strings.HasSuffix(mark, ":") || strings.TrimSpace(rest) != "") {
			return true
		}
	}
	return false
}

// builds reports whether the file is compiled on the machine that runs the test.
// Only such files can be type-checked together.
func (f *File) builds() bool {
	if !matchName(strings.TrimSuffix(path.Base(f.Path), ".go")) {
		return false
	}
	for _, g := range f.AST.Comments {
		if g.Pos() > f.AST.Package {
			break
		}
		for _, c := range g.List {
			if x, err := constraint.Parse(c.Text); err == nil && !x.Eval(matchTag) {
				return false
			}
		}
	}
	return true
}

// systems and machines that file names of this repository may end in.
var (
	systems  = set("linux", "darwin", "windows", "freebsd", "openbsd", "netbsd", "solaris", "js", "wasip1", "plan9", "android", "ios")
	machines = set("amd64", "arm64", "386", "arm", "wasm", "riscv64", "ppc64le", "s390x", "loong64")
)

func matchName(base string) bool {
	parts := strings.Split(base, "_")
	for _, p := range parts[1:] {
		if systems[p] && p != runtime.GOOS || machines[p] && p != runtime.GOARCH {
			return false
		}
	}
	return true
}

func matchTag(tag string) bool {
	unix := runtime.GOOS != "windows" && runtime.GOOS != "plan9" && runtime.GOOS != "js"
	return tag == runtime.GOOS || tag == runtime.GOARCH || tag == "unix" && unix || tag == "gc" ||
		strings.HasPrefix(tag, "go1.")
}
