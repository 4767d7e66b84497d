package archtest

import (
	"slices"
	"strconv"
	"strings"
)

// Imports checks the direction of imports, the purity of packages and the list of
// modules from outside.
func (t *Tree) Imports() []Problem {
	var out []Problem
	for _, p := range t.packages() {
		if p.Dir == "." {
			continue
		}
		if _, ok := mayImport[p.top()]; !ok {
			out = append(out, t.problem("imports", p.Files[0].AST.Package,
				"folder %s is not in the import table: say in rules.go what it may import", p.top()))
			continue
		}
		for _, f := range p.code() {
			out = append(out, t.importsOf(p, f)...)
		}
	}
	return out
}

func (t *Tree) importsOf(p *Package, f *File) []Problem {
	var out []Problem
	isPure := slices.Contains(pure, p.Dir)
	for _, s := range f.AST.Imports {
		name, _ := strconv.Unquote(s.Path.Value)
		if why := directionFault(p, name); why != "" {
			out = append(out, t.problem("imports", s.Pos(), "%s", why))
		}
		if why := outsideFault(p, name); why != "" {
			out = append(out, t.problem("dependencies", s.Pos(), "%s", why))
		}
		if isPure && slices.ContainsFunc(impure, func(x string) bool { return covers(x, name) }) {
			out = append(out, t.problem("pure", s.Pos(), "package %s is pure and may not import %s", p.Dir, name))
		}
	}
	return out
}

// covers reports whether the entry x of a list means the import path: exactly, or
// everything below when x ends in a slash.
func covers(x, name string) bool {
	return x == name || strings.HasSuffix(x, "/") && strings.HasPrefix(name, x)
}

// directionFault says what is wrong with importing name, a path of this repository.
func directionFault(p *Package, name string) string {
	dir, ok := strings.CutPrefix(name, modulePath+"/")
	if !ok {
		return ""
	}
	to, _, _ := strings.Cut(dir, "/")
	if users, ok := byName[dir]; ok && p.Dir != dir && !slices.Contains(users, p.top()) {
		return p.Dir + " may not import " + dir + ": only " + strings.Join(users, " and ") + " choose it, so that others need not link it"
	}
	if to == p.top() {
		return ""
	}
	for _, a := range mayImport[p.top()] {
		if dir == a || strings.HasPrefix(dir, a+"/") {
			return ""
		}
	}
	switch {
	case slices.Contains(middle, p.top()) && slices.Contains(middle, to):
		return p.Dir + " imports " + dir + ": folders of the middle group do not import each other"
	case to == "sim":
		return p.Dir + " imports sim: only cmd, bench and tests may"
	}
	return p.Dir + " may not import " + dir + ": imports point down only"
}

// outsideFault says what is wrong with importing name, a path of another module.
func outsideFault(p *Package, name string) string {
	first, _, _ := strings.Cut(name, "/")
	if !strings.Contains(first, ".") || strings.HasPrefix(name, modulePath) {
		return ""
	}
	for module, users := range outside {
		if !covers(strings.TrimSuffix(module, "/")+"/", name+"/") {
			continue
		}
		if users[0] == "*" || slices.Contains(users, p.top()) || slices.Contains(users, p.Dir) {
			return ""
		}
		return p.Dir + " may not use " + name + ": only " + strings.Join(users, ", ")
	}
	return name + " is not in the list of dependencies"
}
