package archtest

import (
	"go/ast"
	"slices"
	"strings"
)

// Shape checks that every package says what it is, and that functions and files stay
// readable.
func (t *Tree) Shape() []Problem {
	var out []Problem
	for _, p := range t.packages() {
		if !p.documented() {
			out = append(out, t.problem("doc", p.Files[0].AST.Package, "package %s has no package comment", p.Dir))
		}
		for _, f := range p.code() {
			if ast.IsGenerated(f.AST) {
				continue
			}
			if f.Lines > maxFileLines {
				out = append(out, t.problem("length", f.AST.Package,
					"file of %d lines (soft limit %d): split it by concern", f.Lines, maxFileLines))
			}
			out = append(out, t.longFuncs(f)...)
		}
	}
	return out
}

// documented reports whether a file of the package carries its comment, in the form
// that go doc shows. A folder with nothing but tests may say it in a test.
func (p *Package) documented() bool {
	files := p.code()
	if len(files) == 0 {
		files = p.Files
	}
	return slices.ContainsFunc(files, func(f *File) bool {
		text := f.AST.Doc.Text()
		name := f.AST.Name.Name
		if name == "main" {
			return text != "" && !strings.HasPrefix(text, "pump:")
		}
		return strings.HasPrefix(text, "Package "+name+" ")
	})
}

func (t *Tree) longFuncs(f *File) []Problem {
	var out []Problem
	for _, d := range f.AST.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Body == nil {
			continue
		}
		n := t.lines(fn)
		if n > maxFuncLines && n-t.biggestSwitch(fn.Body) > maxAroundSwitch {
			out = append(out, t.problem("length", fn.Pos(),
				"func %s has %d lines (soft limit %d)", fn.Name.Name, n, maxFuncLines))
		}
	}
	return out
}

// lines counts the lines that a node spans.
func (t *Tree) lines(n ast.Node) int {
	return t.fset.Position(n.End()).Line - t.fset.Position(n.Pos()).Line + 1
}

// biggestSwitch returns the lines of the largest switch among the statements of a
// body: a dispatch with one case per message may be as long as its messages are many.
func (t *Tree) biggestSwitch(body *ast.BlockStmt) int {
	most := 0
	for _, s := range body.List {
		switch s.(type) {
		case *ast.SwitchStmt, *ast.TypeSwitchStmt:
			most = max(most, t.lines(s))
		}
	}
	return most
}
