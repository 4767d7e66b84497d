package archtest

import (
	"go/ast"
	"go/token"
	"go/types"
)

// Order checks that the random order of maps cannot reach a message: in the files of
// actors and of pure packages every range over a map says that its order is
// irrelevant, and iterators over maps are sorted on the spot. In engine it also
// keeps floats out of decisions.
func (t *Tree) Order() []Problem {
	var out []Problem
	for _, p := range t.packages() {
		for _, f := range p.handlerFiles() {
			o := &orderCheck{tree: t, pkg: p, file: f, sorted: map[ast.Expr]bool{}}
			ast.Inspect(f.AST, o.node)
			out = append(out, o.found...)
		}
	}
	return out
}

type orderCheck struct {
	tree   *Tree
	pkg    *Package
	file   *File
	sorted map[ast.Expr]bool // arguments of slices.Sorted and its like
	found  []Problem
}

func (o *orderCheck) node(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.RangeStmt:
		_, isMap := core(o.pkg.typeOf(n.X)).(*types.Map)
		if isMap && !o.tree.marked(o.file, n.Pos(), "order: irrelevant") {
			o.fault("order", n.Pos(), "range over a map: sort the keys, or mark it //order: irrelevant, and why")
		}
	case *ast.CallExpr:
		o.iterator(n)
	case *ast.BinaryExpr:
		o.comparison(n)
	}
	return true
}

func (o *orderCheck) fault(rule string, at token.Pos, text string) {
	o.found = append(o.found, o.tree.problem(rule, at, "%s", text))
}

// iterator finds maps.Keys and its like outside of slices.Sorted.
func (o *orderCheck) iterator(c *ast.CallExpr) {
	pkg, name := o.function(c)
	switch {
	case pkg == "slices" && (name == "Sorted" || name == "SortedFunc" || name == "SortedStableFunc"):
		o.sorted[ast.Unparen(c.Args[0])] = true
	case pkg == "maps" && (name == "Keys" || name == "Values" || name == "All"):
		if !o.sorted[c] && !o.tree.marked(o.file, c.Pos(), "order: irrelevant") {
			o.fault("order", c.Pos(), "maps."+name+" has no order: use slices.Sorted, or mark it //order: irrelevant, and why")
		}
	}
}

// function names the package and function of a call like slices.Sorted(x).
func (o *orderCheck) function(c *ast.CallExpr) (pkg, name string) {
	s, ok := ast.Unparen(c.Fun).(*ast.SelectorExpr)
	if !ok {
		return "", ""
	}
	id, ok := s.X.(*ast.Ident)
	if !ok {
		return "", ""
	}
	return o.file.Imports[id.Name], s.Sel.Name
}

// comparison finds floats in the control flow of engine: rates and times are int64.
func (o *orderCheck) comparison(b *ast.BinaryExpr) {
	switch b.Op {
	case token.LSS, token.GTR, token.LEQ, token.GEQ, token.EQL, token.NEQ:
	default:
		return
	}
	if o.pkg.top() != "engine" || !isFloat(o.pkg.typeOf(b.X)) && !isFloat(o.pkg.typeOf(b.Y)) {
		return
	}
	if !o.tree.marked(o.file, b.Pos(), "float:") {
		o.fault("float", b.Pos(), "comparison of floats: decisions use int64, or say why (//float: ...)")
	}
}

func isFloat(t types.Type) bool {
	if t == nil {
		return false
	}
	basic, ok := t.Underlying().(*types.Basic)
	return ok && basic.Info()&types.IsFloat != 0
}
