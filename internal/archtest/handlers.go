package archtest

import (
	"go/ast"
	"go/token"
	"go/types"
	"path"
	"slices"
	"strconv"
)

// Handlers checks the files in which actors live: a handler never waits, and the
// same seed must give the same run. Pure packages, which actors call, obey the same
// rules.
func (t *Tree) Handlers() []Problem {
	var out []Problem
	for _, p := range t.packages() {
		for _, f := range p.handlerFiles() {
			h := &handlerCheck{tree: t, pkg: p, file: f}
			h.outsider = slices.ContainsFunc(outsiderFiles, func(pattern string) bool {
				ok, _ := path.Match(pattern, f.Path)
				return ok
			})
			h.imports()
			ast.Inspect(f.AST, h.node)
			out = append(out, h.found...)
		}
	}
	return out
}

// handlerFiles returns the files that the rules for handlers cover.
func (p *Package) handlerFiles() []*File {
	isActor := p.top() == "engine" || slices.Contains(actorFolders, p.top()) && p.importsActor()
	if !isActor && !slices.Contains(pure, p.Dir) {
		return nil
	}
	return slices.DeleteFunc(p.code(), func(f *File) bool { return f.Pump })
}

func (p *Package) importsActor() bool {
	return slices.ContainsFunc(p.code(), func(f *File) bool {
		for _, name := range f.Imports {
			if name == modulePath+"/actor" {
				return true
			}
		}
		return false
	})
}

// handlerCheck walks one file. It collects what it finds.
type handlerCheck struct {
	tree     *Tree
	pkg      *Package
	file     *File
	outsider bool // may wait: the engine's public door
	found    []Problem
}

func (h *handlerCheck) fault(at token.Pos, format string, args ...any) {
	h.found = append(h.found, h.tree.problem("handlers", at, format, args...))
}

func (h *handlerCheck) imports() {
	for _, s := range h.file.AST.Imports {
		name, _ := strconv.Unquote(s.Path.Value)
		switch {
		case name == "sync/atomic" && !h.outsider && !h.tree.marked(h.file, s.Pos(), "atomic:"):
			h.fault(s.Pos(), "imports sync/atomic without saying why (//atomic: ...)")
		case name == "crypto/rand":
			h.fault(s.Pos(), "imports crypto/rand: randomness is injected")
		}
		if s.Name != nil && s.Name.Name == "." {
			h.fault(s.Pos(), "dot import hides calls from these rules")
		}
	}
}

func (h *handlerCheck) node(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.CallExpr:
		h.call(n)
	case *ast.SelectorExpr:
		h.selector(n)
	}
	if !h.outsider {
		h.waits(n)
	}
	return true
}

// waits finds goroutines and what only channels are for.
func (h *handlerCheck) waits(n ast.Node) {
	switch n := n.(type) {
	case *ast.GoStmt:
		h.fault(n.Pos(), "go statement: only the executor, pumps and workers have goroutines")
	case *ast.SelectStmt:
		h.fault(n.Pos(), "select: a handler never waits")
	case *ast.ChanType:
		h.fault(n.Pos(), "channel: actors talk by messages")
	case *ast.SendStmt:
		h.fault(n.Pos(), "send on a channel: actors talk by messages")
	case *ast.UnaryExpr:
		if n.Op == token.ARROW {
			h.fault(n.Pos(), "receive from a channel: a handler never waits")
		}
	case *ast.RangeStmt:
		if _, ok := core(h.pkg.typeOf(n.X)).(*types.Chan); ok {
			h.fault(n.Pos(), "range over a channel: a handler never waits")
		}
	}
}

// selector finds functions of packages that read the clock, draw global randomness
// or wait, whether they are called or only passed on.
func (h *handlerCheck) selector(s *ast.SelectorExpr) {
	id, ok := s.X.(*ast.Ident)
	if !ok || !h.isPackage(id) {
		return
	}
	name := s.Sel.Name
	switch h.file.Imports[id.Name] {
	case "sync":
		if !h.outsider && !harmlessSync[name] {
			h.fault(s.Pos(), "sync.%s: an actor's state has one owner and no locks", name)
		}
	case "time":
		if !h.outsider && clockCalls[name] {
			h.fault(s.Pos(), "time.%s: time comes from Ctx", name)
		}
	case "math/rand", "math/rand/v2":
		if !seededRand[name] && !h.isType(s) {
			h.fault(s.Pos(), "global rand.%s: randomness comes from Ctx", name)
		}
	case "context":
		if !h.outsider && (name == "WithTimeout" || name == "WithDeadline" || name == "AfterFunc") {
			h.fault(s.Pos(), "context.%s runs on the real clock", name)
		}
	case modulePath + "/actor":
		if name == "Ask" && !h.outsider {
			h.fault(s.Pos(), "actor.Ask waits: it is for outsiders, in %s", outsiderFiles[0])
		}
	}
}

// call finds I/O and waiting sends.
func (h *handlerCheck) call(c *ast.CallExpr) {
	s, ok := ast.Unparen(c.Fun).(*ast.SelectorExpr)
	if !ok {
		return
	}
	if id, ok := s.X.(*ast.Ident); ok && h.isPackage(id) {
		h.packageCall(s, h.file.Imports[id.Name])
		return
	}
	home, typeName := h.pkg.methodHome(s)
	switch {
	case (home == "os" || home == "net" || home == "net/http") && !innocentMethods[s.Sel.Name]:
		h.fault(s.Pos(), "%s.%s.%s: I/O belongs in a pump or worker", home, typeName, s.Sel.Name)
	case s.Sel.Name == "Put" && !h.outsider && (home == modulePath+"/actor" || !h.pkg.known(s)):
		h.fault(s.Pos(), "Inlet.Put may wait: it is for pumps and outsiders")
	}
}

func (h *handlerCheck) packageCall(s *ast.SelectorExpr, home string) {
	switch home {
	case "os", "net":
		if !innocentCalls[home][s.Sel.Name] && !h.isType(s) {
			h.fault(s.Pos(), "%s.%s: I/O belongs in a pump or worker", home, s.Sel.Name)
		}
	case "net/http", "os/exec", "os/signal", "syscall", "golang.org/x/sys/unix", "golang.org/x/sys/windows":
		if !h.isType(s) {
			h.fault(s.Pos(), "%s.%s: I/O belongs in a pump or worker", path.Base(home), s.Sel.Name)
		}
	}
}

// isPackage reports whether the identifier names an import and not a variable.
func (h *handlerCheck) isPackage(id *ast.Ident) bool {
	if _, ok := h.file.Imports[id.Name]; !ok {
		return false
	}
	if h.pkg.typed == nil {
		return true
	}
	o := h.pkg.typed.info.Uses[id]
	_, isName := o.(*types.PkgName)
	return o == nil || isName
}

// isType reports whether the selector is a type, as in the conversion net.IP(b).
func (h *handlerCheck) isType(s *ast.SelectorExpr) bool {
	if h.pkg.typed == nil {
		return false
	}
	_, ok := h.pkg.typed.info.Uses[s.Sel].(*types.TypeName)
	return ok
}
