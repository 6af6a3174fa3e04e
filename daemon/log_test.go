package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestLogLinesCanBeShownToStrangers(t *testing.T) {
	const (
		entry = "aaaaaaaabbbbbbbbccccccccddddddddeeeeeeeeffffffffgggg"
		board = "aaaaaaaabbbbbbbbccccccccdd"
		node  = "12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo"
		link  = "weft:AAAAAAECAwQFBgcICQoLDA0ODw"
		key   = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
		body  = "what people wrote"
	)
	for _, format := range []string{"text", "json"} {
		var out bytes.Buffer
		log := newLogger(&out, format, slog.LevelDebug)
		log.With("part", "p2p", "node", node).Info("got "+entry, "entry", entry, "board", board, "err", fmt.Errorf("refused %s: %w", link, errors.New(key)))
		log.WithGroup("g").Debug(link, "body", body, "text", body, "link", link, slog.Group("inner", "token", "s3cret", "node", node))
		line := out.String()
		for _, secret := range []string{entry, board, node, link, link[5:], key, body, "s3cret"} {
			if strings.Contains(line, secret) {
				t.Errorf("%s: %q was logged:\n%s", format, secret, line)
			}
		}
		for _, useful := range []string{"aaaaaaaa…", node[len(node)-8:], "p2p", "weft:…"} {
			if !strings.Contains(line, useful) {
				t.Errorf("%s: %q is missing:\n%s", format, useful, line)
			}
		}
	}
}

func TestOneTextCannotFillTheLog(t *testing.T) {
	var out bytes.Buffer
	newLogger(&out, "text", slog.LevelInfo).Info("rubbish", "err", strings.Repeat("x", 1<<20))
	if out.Len() > 2*maxLogText {
		t.Errorf("one line has %d bytes", out.Len())
	}
}

// TestEveryAttributeThatIsLoggedMayBe reads the sources of the parts: an attribute that isn't on the list would hide its
// value, and whoever adds one to the list thinks about what it can hold.
func TestEveryAttributeThatIsLoggedMayBe(t *testing.T) {
	levels := map[string]int{"Debug": 1, "Info": 1, "Warn": 1, "Error": 1, "DebugContext": 2, "InfoContext": 2, "WarnContext": 2, "ErrorContext": 2, "With": 0}
	found := 0
	for _, dir := range []string{"../store", "../p2p", "../rpc", "../client", "."} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range files {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(f, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				method, ok := call.Fun.(*ast.SelectorExpr)
				first, known := levels[""], false
				if ok {
					first, known = levels[method.Sel.Name]
				}
				if !known || !strings.HasSuffix(strings.ToLower(receiver(method.X)), "log") {
					return true
				}
				for i := first; i < len(call.Args); i += 2 {
					key, ok := call.Args[i].(*ast.BasicLit)
					if !ok {
						continue
					}
					found++
					if k, _ := strconv.Unquote(key.Value); !loggedKeys[k] {
						t.Errorf("%s logs %q, which isn't on the list in daemon/log.go", path, k)
					}
				}
				return true
			})
		}
	}
	if found < 10 {
		t.Errorf("only %d attributes were found", found)
	}
}

// receiver is the last name of what a method is called on: log of m.o.Log.
func receiver(x ast.Expr) string {
	switch x := x.(type) {
	case *ast.Ident:
		return x.Name
	case *ast.SelectorExpr:
		return x.Sel.Name
	case *ast.CallExpr: // log.With(…).Info
		if s, ok := x.Fun.(*ast.SelectorExpr); ok {
			return receiver(s.X)
		}
	}
	return ""
}
