// The rules of the house, as tests.

package weft

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// levels are the storeys of the house: a package may import what stands on a lower one only. The imports are parsed
// here and now; a test that asked `go list` would be answered from the test cache.
var levels = map[string]int{
	"api":        0,
	"board":      1,
	"team":       2,
	"store":      3,
	"presence":   3,
	"p2p":        4,
	"rpc":        4,
	"client":     4,
	"daemon":     5,
	"sim":        6,
	"cmd":        7,
	"web":        0,
	"deploy":     0,
	"docs":       8, // its tests run what it describes
	"(root)":     8,
	"buildtools": 8,
}

// alsoForbidden are imports between storeys that levels would allow.
var alsoForbidden = map[string][]string{
	"client": {"team", "store", "presence", "p2p", "rpc"}, // an SDK is for programs that have no node
}

// notPure are packages that pure ones must not use: they are functions of their arguments.
var notPure = regexp.MustCompile(`^(os|net|io/fs|syscall|log|log/slog|crypto/rand|math/rand|golang.org/x/sys/.*)$`)

// ambient are the clock, and the chance that belongs to nobody.
var ambient = regexp.MustCompile(`^(time\.(Now|Since|Until|Sleep|After|AfterFunc|Tick|NewTimer|NewTicker)|rand\.(U?[Ii]nt.*|N|Float.*|Perm|Shuffle|NormFloat64|ExpFloat64))$`)

type file struct {
	path, dir, room string
	test            bool
	ast             *ast.File
}

// source is every Go file of the module.
func source(t *testing.T) []file {
	t.Helper()
	var files []file
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if path != "." && (strings.HasPrefix(name, ".") || name == "testdata" || name == "tools" || name == "bin") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		dir := filepath.ToSlash(filepath.Dir(path))
		room, _, _ := strings.Cut(dir, "/")
		if dir == "." {
			room = "(root)"
		}
		files = append(files, file{path: path, dir: dir, room: room, test: strings.HasSuffix(name, "_test.go"), ast: f})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 20 {
		t.Fatalf("found %d files only; this test must run at the module's root", len(files))
	}
	return files
}

func imports(f file) []string {
	var paths []string
	for _, i := range f.ast.Imports {
		p, _ := strconv.Unquote(i.Path.Value)
		paths = append(paths, p)
	}
	return paths
}

func TestPackagesImportOnlyLowerLevels(t *testing.T) {
	for _, f := range source(t) {
		level, known := levels[f.room]
		if !known {
			t.Errorf("%s: folder %s has no level; give it one in structure_test.go and ARCHITECTURE.md", f.path, f.room)
			continue
		}
		for _, p := range imports(f) {
			rest, own := strings.CutPrefix(p, "weft/")
			if !own {
				continue
			}
			room, _, _ := strings.Cut(rest, "/")
			switch {
			case room == f.room, f.test && room == "sim": // the one checker is for everybody's tests
			case f.test && f.room == "client" && levels[room] <= levels["rpc"]: // its tests need a node to talk to
			case (f.test || f.dir == "rpc/rpctest") && f.room == "rpc" && room == "client": // and the other way round
			case levels[room] >= level:
				t.Errorf("%s imports %s, which isn't on a lower level", f.path, p)
			case !f.test && slices.Contains(alsoForbidden[f.room], room):
				t.Errorf("%s imports %s, which %s does without", f.path, p, f.room)
			}
		}
	}
}

// TestNobodyButTheLabLies keeps the hostile node out of the program.
func TestNobodyButTheLabLies(t *testing.T) {
	for _, f := range source(t) {
		for _, p := range imports(f) {
			if p == "weft/sim/attack" && !f.test && f.dir != "cmd/weftlab" {
				t.Errorf("%s imports %s, which is for tests and cmd/weftlab only", f.path, p)
			}
		}
	}
}

func TestPurePackagesHaveNoInputOrOutput(t *testing.T) {
	pure := map[string]bool{"board": true, "team": true, "presence": true, "presence/detect": true}
	for _, f := range source(t) {
		if f.test || !pure[f.dir] {
			continue
		}
		for _, p := range imports(f) {
			if notPure.MatchString(p) {
				t.Errorf("%s imports %s: package %s is pure", f.path, p, f.dir)
			}
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if _, ok := n.(*ast.GoStmt); ok {
				t.Errorf("%s starts a goroutine: package %s is pure", f.path, f.dir)
			}
			if s, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := s.X.(*ast.Ident); ok && ambient.MatchString(x.Name+"."+s.Sel.Name) {
					t.Errorf("%s uses %s.%s: package %s is pure, time and chance are arguments", f.path, x.Name, s.Sel.Name, f.dir)
				}
			}
			return true
		})
	}
}

func TestEachPackageSaysWhatItIsFor(t *testing.T) {
	documented := map[string]bool{}
	for _, f := range source(t) {
		if f.room == "api" && strings.HasSuffix(f.path, ".pb.go") || f.test && f.room != "(root)" {
			continue
		}
		documented[f.dir] = documented[f.dir] || f.ast.Doc != nil
	}
	for _, dir := range slices.Sorted(maps.Keys(documented)) {
		if !documented[dir] && !strings.HasPrefix(dir, "api/") {
			t.Errorf("package in %s has no doc comment", dir)
		}
	}
}

func TestFilesHaveSpeakingNamesAndBearableLengths(t *testing.T) {
	for _, f := range source(t) {
		if f.room == "api" {
			continue
		}
		name := strings.TrimSuffix(strings.TrimSuffix(filepath.Base(f.path), ".go"), "_test")
		if name == "util" || name == "utils" || name == "common" || name == "helpers" || name == "misc" {
			t.Errorf("%s: the name doesn't say what may live there", f.path)
		}
		raw, err := os.ReadFile(f.path)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(raw), "\n"); !f.test && n > 450 {
			t.Errorf("%s has %d lines; split it by purpose (450 at most)", f.path, n)
		}
	}
}

func TestTestsNeitherSleepNorSkip(t *testing.T) {
	for _, f := range source(t) {
		if !f.test {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			x, ok := s.X.(*ast.Ident)
			switch {
			case !ok:
			case x.Name == "time" && s.Sel.Name == "Sleep" && !insideBubble(f):
				t.Errorf("%s sleeps: wait for a condition, or use virtual time", f.path)
			case s.Sel.Name == "Skip" || s.Sel.Name == "Skipf" || s.Sel.Name == "SkipNow":
				t.Errorf("%s skips: a skipped test hides", f.path)
			}
			return true
		})
	}
}

// insideBubble says whether a test file uses synctest, in which sleeping costs no time.
func insideBubble(f file) bool { return slices.Contains(imports(f), "testing/synctest") }

// The README promises commands; the Makefile must have them.
func TestMakefileHasTheTargetsThatPeopleAreTold(t *testing.T) {
	raw, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{"run", "test", "check", "demo", "bench", "soak", "generate", "build"} {
		if !regexp.MustCompile(`(?m)^` + target + `:`).Match(raw) {
			t.Errorf("Makefile has no target %s", target)
		}
	}
}
