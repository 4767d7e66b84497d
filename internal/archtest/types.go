package archtest

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/importer"
	"go/types"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// typed holds what the type checker found out about a package. Code that does not
// compile is checked as far as it goes.
type typed struct {
	pkg  *types.Package
	info *types.Info
}

// checker type-checks packages of the tree from their sources, and takes packages
// from elsewhere from the compiler's export data.
type checker struct {
	tree   *Tree
	others types.ImporterFrom
	busy   map[string]bool
}

// Check type-checks the code of all packages, so that the rules can tell a map from
// a slice and an Inlet from a slab.
func (t *Tree) Check(exports Exports) {
	gc := importer.ForCompiler(t.fset, "gc", func(path string) (io.ReadCloser, error) {
		if file := exports[path]; file != "" {
			return os.Open(file)
		}
		return nil, fmt.Errorf("no export data for %s", path)
	})
	c := &checker{tree: t, others: gc.(types.ImporterFrom), busy: map[string]bool{}}
	for _, p := range t.packages() {
		c.check(p)
	}
}

// Exports says, by import path, in which file the compiler left a package's types.
type Exports map[string]string

// Foreign lists the packages from outside the tree that its code imports.
func (t *Tree) Foreign() []string {
	found := map[string]bool{}
	for _, p := range t.pkgs {
		for _, f := range p.code() {
			for _, name := range f.Imports {
				if !strings.HasPrefix(name, modulePath) && name != "C" && name != "unsafe" {
					found[name] = true
				}
			}
		}
	}
	var out []string
	for name := range found {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// FindExports asks the go command, in folder root, for the compiled form of packages
// and of all they import. Packages that cannot be had are left out.
func FindExports(root string, paths ...string) (Exports, error) {
	if len(paths) == 0 {
		return nil, nil
	}
	args := []string{"list", "-e", "-export", "-deps", "-f", "{{.ImportPath}}\t{{.Export}}", "--"}
	cmd := exec.Command("go", append(args, paths...)...)
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	list, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list -export: %w: %s", err, stderr.String())
	}
	out := Exports{}
	for line := range strings.Lines(string(list)) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), "\t")
		out[path] = file
	}
	return out, nil
}

func (c *checker) check(p *Package) *typed {
	if p.typed != nil || c.busy[p.Dir] {
		return p.typed
	}
	c.busy[p.Dir] = true
	var files []*ast.File
	for _, f := range p.code() {
		if f.builds() {
			files = append(files, f.AST)
		}
	}
	info := &types.Info{
		Types:      map[ast.Expr]types.TypeAndValue{},
		Uses:       map[*ast.Ident]types.Object{},
		Selections: map[*ast.SelectorExpr]*types.Selection{},
	}
	conf := types.Config{Importer: c, Error: func(error) {}, FakeImportC: true}
	pkg, _ := conf.Check(importPath(p.Dir), c.tree.fset, files, info)
	p.typed = &typed{pkg: pkg, info: info}
	return p.typed
}

// Import is the types.Importer of the packages being checked.
func (c *checker) Import(path string) (*types.Package, error) {
	dir, ok := strings.CutPrefix(path, modulePath)
	if !ok {
		return c.others.Import(path)
	}
	p := c.tree.pkgs[strings.TrimPrefix(dir, "/")]
	if p == nil {
		return nil, fmt.Errorf("no package %s", path)
	}
	ty := c.check(p)
	if ty == nil || ty.pkg == nil {
		return nil, fmt.Errorf("import cycle through %s", path)
	}
	return ty.pkg, nil
}

func importPath(dir string) string {
	if dir == "." {
		return modulePath
	}
	return modulePath + "/" + dir
}

// typeOf returns the type of an expression, or nil when it is not known.
func (p *Package) typeOf(e ast.Expr) types.Type {
	if p.typed == nil {
		return nil
	}
	if id, ok := e.(*ast.Ident); ok {
		if o := p.typed.info.Uses[id]; o != nil {
			return valid(o.Type())
		}
	}
	return valid(p.typed.info.Types[e].Type)
}

func valid(t types.Type) types.Type {
	if t == nil || t == types.Typ[types.Invalid] {
		return nil
	}
	return t
}

// methodHome returns the import path and the type name of a method's receiver, when
// sel is a method of a named type or interface.
func (p *Package) methodHome(sel *ast.SelectorExpr) (path, typeName string) {
	if p.typed == nil {
		return "", ""
	}
	s := p.typed.info.Selections[sel]
	if s == nil || s.Kind() == types.FieldVal {
		return "", ""
	}
	return homeOf(s.Recv())
}

func homeOf(t types.Type) (path, name string) {
	if ptr, ok := t.(*types.Pointer); ok {
		t = ptr.Elem()
	}
	n, ok := types.Unalias(t).(*types.Named)
	if !ok || n.Obj().Pkg() == nil {
		return "", ""
	}
	return n.Obj().Pkg().Path(), n.Obj().Name()
}

// known reports whether the type checker resolved the selector at all.
func (p *Package) known(sel *ast.SelectorExpr) bool {
	return p.typed != nil && p.typed.info.Selections[sel] != nil
}

// core returns the type that range sees: the underlying type, or that of the type
// parameter's single constraint.
func core(t types.Type) types.Type {
	if t == nil {
		return nil
	}
	if tp, ok := types.Unalias(t).(*types.TypeParam); ok {
		if iface, ok := tp.Constraint().Underlying().(*types.Interface); ok && iface.NumEmbeddeds() == 1 {
			if u, ok := iface.EmbeddedType(0).(*types.Union); ok && u.Len() == 1 {
				return u.Term(0).Type().Underlying()
			}
			return iface.EmbeddedType(0).Underlying()
		}
	}
	return t.Underlying()
}
