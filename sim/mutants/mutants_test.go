package mutants

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	runMutants = flag.Bool("run-mutants", false, "build weft with each bug and run the tests that ought to notice")
	runTeam    = flag.Bool("run-mutants-team", false, "likewise with each rule of package team dropped or turned round")
)

// bug is one known way to break a promise.
type bug struct {
	name     string
	file     string // below the module's root
	old, new string // old stands once in the file
	tests    string // -run
	packages []string
	rapid    bool // the tests are made with rapid
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// mutate is the file with the bug in it.
func (b bug) mutate(t *testing.T) string {
	t.Helper()
	src, err := os.ReadFile(filepath.Join(root(t), b.file))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(src), b.old); n != 1 {
		t.Fatalf("%s holds what %q changes %d times instead of once: adapt the bug to the source", b.file, b.name, n)
	}
	return strings.Replace(string(src), b.old, b.new, 1)
}

// A bug that no longer fits the source would prove nothing.
func TestEachBugFitsTheSource(t *testing.T) {
	for _, b := range slices.Concat(bugs, presenceBugs, peopleBugs, teamBugs) {
		t.Run(b.name, func(t *testing.T) { b.mutate(t) })
	}
}

func TestEachBugIsCaught(t *testing.T) {
	if !*runMutants {
		return // minutes of building and testing: make mutants
	}
	catch(t, slices.Concat(bugs, presenceBugs, peopleBugs))
}

// Each rule of who may write and who may receive is held by a test.
func TestEachTeamBugIsCaught(t *testing.T) {
	if !*runTeam {
		return // make mutants-team
	}
	t.Setenv("WEFT_HISTORIES", "12000")
	t.Setenv("WEFT_AS_FOUND", "1") // a failing history need not be made small
	for i := range teamBugs {
		if teamBugs[i].tests != "" {
			continue // what random histories meet too seldom has a story of its own
		}
		teamBugs[i].tests, teamBugs[i].packages, teamBugs[i].rapid = ".", []string{"./sim/trust"}, false
	}
	catch(t, teamBugs)
}

// catch fails for each bug with which the tests pass. Those of team itself are asked last: they take longer to build.
func catch(t *testing.T, bugs []bug) {
	for _, b := range bugs {
		t.Run(b.name, func(t *testing.T) {
			out, err := b.test(t)
			if (err == nil || strings.Contains(out, "panic: test timed out")) && strings.HasPrefix(b.file, "team/") {
				b.packages = []string{"./team"}
				out, err = b.test(t)
			}
			if err == nil {
				t.Fatalf("not caught: the tests pass with this bug")
			}
			if strings.Contains(out, "[build failed]") || strings.Contains(out, "panic: test timed out") || !strings.Contains(out, "--- FAIL") && !strings.Contains(out, "panic: ") {
				t.Fatalf("nothing failed as it should: %v\n%s", err, out)
			}
			t.Logf("caught: %s", firstFailure(out))
		})
	}
}

// test runs the bug's tests over a source with the bug in it.
func (b bug) test(t *testing.T) (string, error) {
	t.Helper()
	dir := t.TempDir()
	mutated, overlay := filepath.Join(dir, "mutated.go"), filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(mutated, []byte(b.mutate(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]map[string]string{"Replace": {filepath.Join(root(t), b.file): mutated}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(overlay, text, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	args := append([]string{"test", "-count=1", "-timeout=4m", "-overlay", overlay, "-run", b.tests}, b.packages...)
	if b.rapid {
		args = append(args, "-args", "-rapid.nofailfile") // what a bug made fail is no example to keep
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = root(t)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// firstFailure is the line that says what was found.
func firstFailure(out string) string {
	var last string
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(line)
		if strings.Contains(line, "promises broken") || strings.Contains(line, "_test.go:") {
			return line
		}
		if strings.HasPrefix(line, "--- FAIL") {
			last = line
		}
	}
	return last
}
