package archtest

import (
	"go/ast"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// decoderName is what functions are called that make sense of bytes.
var decoderName = regexp.MustCompile(`^(?i:parse|decode|unmarshal|load)`)

// DecoderTable says what is fuzzed by what. Functions are written as the folder of their
// package, a dot, and their name, with that of their type if they are methods:
// "wire.ParseHandshake", "tracker/server.store.load".
type DecoderTable struct {
	Packages []string          // those that take bytes from outside
	Fuzzed   map[string]string // decoder -> its fuzz target, in the same package
	Exempt   map[string]string // what looks like a decoder -> why it needs no target
}

// Decoders checks that whatever reads bytes from outside is fuzzed: every function whose
// name says that it decodes, in a package that takes bytes from outside, stands in the
// table with its fuzz target or among those that are none, with the reason; every target
// in the table exists and leads to its decoder; and every target is in the table.
func (t *Tree) Decoders(d DecoderTable) []Problem {
	var out []Problem
	for _, dir := range d.Packages {
		if p := t.pkgs[dir]; p != nil {
			out = append(out, t.decodersOf(p, d)...)
		} else {
			out = append(out, Problem{Rule: "decoders", Text: "there is no package " + dir})
		}
	}
	return append(out, t.staleDecoders(d)...)
}

func (t *Tree) decodersOf(p *Package, d DecoderTable) []Problem {
	var out []Problem
	for _, fn := range p.funcs(false) {
		name := p.Dir + "." + funcName(fn)
		if d.Fuzzed[name] != "" || d.Exempt[name] != "" || !decoderName.MatchString(fn.Name.Name) || !takesBytes(fn) {
			continue
		}
		out = append(out, t.problem("decoders", fn.Pos(),
			"%s is in no table: name its fuzz target in decoders_table.go, or why it needs none", name))
	}
	listed := map[string]bool{}
	for name, target := range d.Fuzzed { //order: irrelevant
		if dir, _ := splitName(name); dir == p.Dir {
			listed[target] = true
		}
	}
	for _, fn := range p.funcs(true) {
		if strings.HasPrefix(fn.Name.Name, "Fuzz") && !listed[fn.Name.Name] {
			out = append(out, t.problem("decoders", fn.Pos(), "%s of %s is in no table", fn.Name.Name, p.Dir))
		}
	}
	return out
}

// staleDecoders checks the table's entries, in order.
func (t *Tree) staleDecoders(d DecoderTable) []Problem {
	var out []Problem
	names := slices.Concat(slices.Collect(maps.Keys(d.Fuzzed)), slices.Collect(maps.Keys(d.Exempt)))
	slices.Sort(names)
	for _, name := range names {
		dir, fn := splitName(name)
		if p := t.pkgs[dir]; p != nil {
			out = append(out, t.checkDecoder(p, fn, d.Fuzzed[name])...)
		} else {
			out = append(out, Problem{Rule: "decoders", Text: name + " is in the table, but there is no such package"})
		}
	}
	return out
}

func (t *Tree) checkDecoder(p *Package, fn, target string) []Problem {
	at := p.Files[0].AST.Package
	if !slices.ContainsFunc(p.funcs(false), func(d *ast.FuncDecl) bool { return funcName(d) == fn }) {
		return []Problem{t.problem("decoders", at, "%s.%s is in the table, but not in the package", p.Dir, fn)}
	}
	if target == "" {
		return nil
	}
	tests := p.funcs(true)
	i := slices.IndexFunc(tests, func(d *ast.FuncDecl) bool { return d.Name.Name == target })
	switch {
	case i < 0:
		return []Problem{t.problem("decoders", at, "%s.%s has no fuzz target %s", p.Dir, fn, target)}
	case !p.leadsTo(tests[i], fn):
		return []Problem{t.problem("decoders", tests[i].Pos(), "%s does not lead to %s.%s", target, p.Dir, fn)}
	}
	return nil
}

// leadsTo reports whether a function calls another one, directly or by others of the
// package, as far as names can tell.
func (p *Package) leadsTo(from *ast.FuncDecl, to string) bool {
	_, want, isMethod := strings.Cut(to, ".")
	if !isMethod {
		want = to
	}
	byName := map[string][]*ast.FuncDecl{}
	for _, fn := range append(p.funcs(false), p.funcs(true)...) {
		byName[fn.Name.Name] = append(byName[fn.Name.Name], fn)
	}
	seen := map[string]bool{}
	todo := []*ast.FuncDecl{from}
	for len(todo) > 0 {
		fn := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for name := range namesIn(fn) { //order: irrelevant, a search in a graph
			if name == want {
				return true
			}
			if !seen[name] {
				seen[name] = true
				todo = append(todo, byName[name]...)
			}
		}
	}
	return false
}

// namesIn collects the identifiers in a function's body.
func namesIn(fn *ast.FuncDecl) map[string]bool {
	out := map[string]bool{}
	if fn.Body != nil {
		ast.Inspect(fn.Body, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok {
				out[id.Name] = true
			}
			return true
		})
	}
	return out
}

// funcs returns the functions of a package's tests, or of its code.
func (p *Package) funcs(tests bool) (out []*ast.FuncDecl) {
	for _, f := range p.Files {
		if f.Test != tests {
			continue
		}
		for _, d := range f.AST.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok {
				out = append(out, fn)
			}
		}
	}
	return out
}

// funcName is "Name", or "Type.Name" of a method.
func funcName(fn *ast.FuncDecl) string {
	if fn.Recv == nil || len(fn.Recv.List) == 0 {
		return fn.Name.Name
	}
	typ := fn.Recv.List[0].Type
	if s, ok := typ.(*ast.StarExpr); ok {
		typ = s.X
	}
	if x, ok := typ.(*ast.IndexExpr); ok {
		typ = x.X
	}
	if id, ok := typ.(*ast.Ident); ok {
		return id.Name + "." + fn.Name.Name
	}
	return fn.Name.Name
}

// splitName splits "folder/of/package.Type.Name" behind the package.
func splitName(name string) (dir, fn string) {
	slash := strings.LastIndexByte(name, '/') + 1
	pkg, fn, _ := strings.Cut(name[slash:], ".")
	return name[:slash] + pkg, fn
}

// takesBytes reports whether a parameter is a string, a slice of bytes or a reader.
func takesBytes(fn *ast.FuncDecl) bool {
	return slices.ContainsFunc(fn.Type.Params.List, func(f *ast.Field) bool {
		switch x := f.Type.(type) {
		case *ast.Ident:
			return x.Name == "string"
		case *ast.ArrayType:
			id, ok := x.Elt.(*ast.Ident)
			return ok && x.Len == nil && id.Name == "byte"
		case *ast.SelectorExpr:
			return x.Sel.Name == "Reader"
		}
		return false
	})
}
