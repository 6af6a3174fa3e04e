package weft

import (
	"go/ast"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// testNames are all tests, fuzz targets and benchmarks in the tree.
func testNames(t *testing.T) map[string]bool {
	names := map[string]bool{}
	for _, f := range source(t) {
		if !f.test {
			continue
		}
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil {
				names[fn.Name.Name] = true
			}
		}
	}
	return names
}

// stories are the transcripts in the tree, by the name that `go test -run TestTranscripts/NAME` knows.
func stories(t *testing.T) map[string]bool {
	names := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.Contains(filepath.ToSlash(path), "/testdata/") {
			names[strings.TrimSuffix(d.Name(), ".txt")] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

var testName = regexp.MustCompile("`((?:Test|Fuzz|Benchmark)[A-Za-z0-9_]+)(?:/([a-z0-9_-]+))?`")

// A limit that no test shows is a wish: each row names tests, and they exist.
func TestLimitsNameTestsThatExist(t *testing.T) {
	raw, err := os.ReadFile("docs/limits.md")
	if err != nil {
		t.Fatal(err)
	}
	tests, transcripts := testNames(t), stories(t)
	rows, header := 0, true
	for _, line := range strings.Split(string(raw), "\n") {
		named := testName.FindAllStringSubmatch(line, -1)
		for _, m := range named {
			if !tests[m[1]] || m[2] != "" && !transcripts[m[2]] {
				t.Errorf("docs/limits.md names %s, which isn't in the tree", m[0])
			}
		}
		if !strings.HasPrefix(line, "|") {
			header = true
			continue
		}
		if strings.HasPrefix(line, "|---") {
			header = false
			continue
		}
		if !header {
			if rows++; len(named) == 0 {
				t.Errorf("docs/limits.md: no test shows %q", line)
			}
		}
	}
	if rows < 40 {
		t.Errorf("docs/limits.md has %d rows; was it cut?", rows)
	}
}

// The documents point at files and parts of themselves that are there.
func TestDocumentsPointAtWhatIsThere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:\s]+)?(#[^)\s]+)?\)`)
	docs, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	top, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range append(docs, top...) {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(raw), -1) {
			target, at := filepath.Join(filepath.Dir(path), m[1]), m[2]
			if m[1] == "" {
				target = path
			}
			text, err := os.ReadFile(target)
			if info, statErr := os.Stat(target); statErr != nil || err != nil && !info.IsDir() {
				t.Errorf("%s points at %s, which isn't there", path, target)
				continue
			}
			if at != "" && !anchors(string(text))[at[1:]] {
				t.Errorf("%s points at %s%s, which isn't there", path, target, at)
			}
		}
	}
}

// anchors are what a document's headings can be linked by.
func anchors(text string) map[string]bool {
	drop := regexp.MustCompile(`[^a-z0-9 _-]`)
	out := map[string]bool{}
	for _, line := range strings.Split(text, "\n") {
		if h := strings.TrimLeft(line, "#"); h != line && strings.HasPrefix(h, " ") {
			a := drop.ReplaceAllString(strings.ToLower(strings.TrimSpace(h)), "")
			out[strings.ReplaceAll(a, " ", "-")] = true
		}
	}
	return out
}

// Whoever writes another node has the protocol's description and its schema: the one speaks of everything in the other.
func TestProtocolNamesEveryMessage(t *testing.T) {
	page, err := os.ReadFile("docs/PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, w := range regexp.MustCompile(`\w+`).FindAllString(string(page), -1) {
		named[w] = true
	}
	declared, field := regexp.MustCompile(`(?m)^(?:message|enum) (\w+)`), regexp.MustCompile(`(?m)^    \w+ (\w+) = \d+;`)
	for _, path := range []string{"api/weft/v1/objects.proto", "api/weft/v1/peer.proto"} {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		found := append(declared.FindAllStringSubmatch(string(raw), -1), field.FindAllStringSubmatch(string(raw), -1)...) // and what a oneof has
		if len(found) < 25 {
			t.Errorf("%s has %d messages; was it cut?", path, len(found))
		}
		for _, m := range found {
			if !named[m[1]] {
				t.Errorf("docs/PROTOCOL.md does not speak of %s, which %s has", m[1], path)
			}
		}
	}
}

// What void and pending things are told apart by is part of the protocol, too.
func TestProtocolNamesEveryRule(t *testing.T) {
	page, err := os.ReadFile("docs/PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile("team/reasons.go")
	if err != nil {
		t.Fatal(err)
	}
	rules := regexp.MustCompile(`\{(?:Void|Pending), "([a-z-]+)"`).FindAllStringSubmatch(string(raw), -1)
	if len(rules) < 40 {
		t.Errorf("found %d rules", len(rules))
	}
	for _, m := range rules {
		if !strings.Contains(string(page), "`"+m[1]+"`") {
			t.Errorf("docs/PROTOCOL.md does not speak of the rule %s", m[1])
		}
	}
}
