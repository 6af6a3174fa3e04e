// Package transcripts plays the conversations in a package's testdata: commands in, what they bring about out. It is for tests.
package transcripts

import (
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// Play plays each file in dir. begin makes what a file is about: do carries out one command, given in words, and writes to
// out what came of it. With the flag -rewrite what comes out now is taken for right and written into the files.
func Play(t *testing.T, dir string, begin func() (do func(words []string) error, out *strings.Builder)) {
	datadriven.Walk(t, dir, func(t *testing.T, path string) {
		if strings.Contains(path, "fuzz") || strings.Contains(path, "rapid") { // what failed once, and no conversation
			return
		}
		do, out := begin()
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			out.Reset()
			first := []string{d.Cmd}
			for _, a := range d.CmdArgs {
				first = append(first, a.String())
			}
			for _, line := range strings.Split(strings.TrimSpace(strings.Join(first, " ")+"\n"+d.Input), "\n") {
				words := strings.Fields(line)
				if len(words) == 0 {
					continue
				}
				if err := do(words); err != nil {
					t.Fatalf("%s: %q: %v", d.Pos, line, err)
				}
			}
			if out.Len() == 0 {
				return "nothing\n"
			}
			return out.String()
		})
	})
}
