package attack_test

import (
	"os"
	"strings"
	"testing"

	"weft/sim/attack"
)

// TestEveryAttackIsHeld lies to a node in every way that the package knows. After each attack the target is alive and has
// not panicked, shows nothing forged, has given no role to anybody, has counted what it refused, and two honest nodes go on
// talking.
func TestEveryAttackIsHeld(t *testing.T) {
	f := newField(t)
	o := f.options()
	if only := os.Getenv("WEFT_ATTACKS"); only != "" {
		o.Only = strings.Split(only, ",")
	}
	results, err := attack.Run(t.Context(), o, func(r attack.Result) {
		t.Logf("%-22s %-8s %6.0f ms, %5d frames, %8d bytes, %7d back, heap %+.1f MiB  %v", r.Name, r.Verdict, r.Took, r.Frames, r.Sent, r.Received, r.Heap/(1<<20), r.Rules)
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if r.Verdict != attack.Held {
			t.Errorf("%s: %s: %s", r.Name, r.Verdict, r.Why)
		}
	}
	if len(results) < 25 && len(o.Only) == 0 {
		t.Errorf("only %d attacks", len(results))
	}
}
