package daemon

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

var (
	describedName   = regexp.MustCompile(`fqName: "(weft_[a-z0-9_]+)".*variableLabels: \{([^}]*)\}`)
	documentedMeter = regexp.MustCompile("(?m)^\\| `(weft_[a-z0-9_]+)` \\| ([^|]*)\\|")
)

// docs/METRICS.md says what a node counts: each name and its labels, no more and no less.
func TestMetricsAreDocumented(t *testing.T) {
	d := start(t, testConfig(t, "Ada", nil))
	registered := map[string]string{}
	descs := make(chan *prometheus.Desc, 4096)
	d.registry.Describe(descs)
	close(descs)
	for desc := range descs {
		if m := describedName.FindStringSubmatch(desc.String()); m != nil {
			registered[m[1]] = m[2]
		}
	}
	raw, err := os.ReadFile("../docs/METRICS.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]string{}
	for _, m := range documentedMeter.FindAllStringSubmatch(string(raw), -1) {
		documented[m[1]] = strings.NewReplacer("`", "", " ", "").Replace(m[2])
	}
	for _, name := range slices.Sorted(maps.Keys(registered)) {
		if labels, ok := documented[name]; !ok {
			t.Errorf("%s isn't documented", name)
		} else if labels != registered[name] {
			t.Errorf("%s has labels %q, documented are %q", name, registered[name], labels)
		}
	}
	for name := range documented {
		if _, ok := registered[name]; !ok {
			t.Errorf("%s is documented, and no node has it", name)
		}
	}
	if len(registered) < 30 {
		t.Errorf("only %d metrics were found", len(registered))
	}
	problems, err := testutil.GatherAndLint(d.registry, slices.Collect(maps.Keys(registered))...)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}
