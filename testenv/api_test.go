package testenv

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"
)

// Other modules cannot name a type of an internal package. So exported functions neither take nor
// return one. The methods of Client may: doc.go reserves them for this project.
func TestOthersCanNameEachType(t *testing.T) {
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	functions := 0
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), f.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		internal := internalImports(file)
		for _, d := range file.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || !fn.Name.IsExported() || !usable(receiver(fn)) {
				continue
			}
			functions++
			ast.Inspect(fn.Type, func(n ast.Node) bool {
				if s, ok := n.(*ast.SelectorExpr); ok {
					if p, ok := s.X.(*ast.Ident); ok && internal[p.Name] {
						t.Errorf("%s: %s has the type %s.%s of an internal package", f.Name(), fn.Name.Name, p.Name, s.Sel.Name)
					}
				}
				return true
			})
		}
	}
	if functions < 30 {
		t.Errorf("found %d exported functions: the walk misses the package", functions)
	}
}

// usable reports whether other modules may use the methods of a type. The type of a function is "".
func usable(receiver string) bool {
	return receiver == "" || ast.IsExported(receiver) && receiver != "Client"
}

// internalImports gives the names of the internal packages that a file imports.
func internalImports(file *ast.File) map[string]bool {
	internal := map[string]bool{}
	for _, spec := range file.Imports {
		if path, err := strconv.Unquote(spec.Path.Value); err == nil && strings.Contains(path, "vpnd/internal/") {
			internal[path[strings.LastIndexByte(path, '/')+1:]] = true
		}
	}
	return internal
}

// receiver is the name of the type that fn is a method of, or "".
func receiver(fn *ast.FuncDecl) string {
	if fn.Recv == nil {
		return ""
	}
	expr := fn.Recv.List[0].Type
	if star, ok := expr.(*ast.StarExpr); ok {
		expr = star.X
	}
	if name, ok := expr.(*ast.Ident); ok {
		return name.Name
	}
	return ""
}
