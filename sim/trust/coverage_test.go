package trust

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"weft/team"
)

// coverage counts how often each outcome occurred.
type coverage map[string]int

func (c coverage) add(o coverage) {
	for k, n := range o {
		c[k] += n
	}
}

// String has the counts in order of name.
func (c coverage) String() string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(c)) {
		fmt.Fprintf(&b, "%9d %s\n", c[k], k)
	}
	return b.String()
}

// outcomes of a state.
func (w *world) outcomes(st *State) coverage {
	c := coverage{}
	for _, o := range st.e.ops {
		v := st.Objects[o.hash]
		c[fmt.Sprintf("%s: %s %s", o.what(), v.Status, v.Rule)]++
	}
	for _, k := range st.e.charters {
		v := st.Objects[k.hash]
		c[fmt.Sprintf("charter: %s %s", v.Status, v.Rule)]++
	}
	for _, a := range st.e.acks {
		v := st.e.judgeAck(a)
		c[fmt.Sprintf("ack: %s %s", v.Status, v.Rule)]++
	}
	seen := map[item]bool{}
	for _, h := range st.e.held {
		i, ok := h.item()
		if !ok || h.Object != nil || seen[i] {
			continue
		}
		seen[i] = true
		v := st.Shown(h.Entry)
		c[fmt.Sprintf("entry: %s %s", v.Status, v.Rule)]++
		if v == valid {
			for _, g := range st.e.register[h.Entry.Header.Author] {
				if g.role < team.Member && !seen[item{hash: g.hash}] {
					c["entry: valid although its author was restricted"]++
					break
				}
			}
		}
	}
	for rule, n := range st.Met {
		c["met: "+rule] += n
	}
	for _, counts := range st.Counting {
		c[fmt.Sprintf("record: counts %v", counts)]++
	}
	for _, r := range st.Roles {
		c["role: "+r.String()]++
	}
	c[fmt.Sprintf("charters on the chain: %d", min(len(st.Chain), 6))]++
	for _, u := range st.Users {
		c[fmt.Sprintf("charters of a person: %d", min(len(u), 6))]++
	}
	return c
}

// what kind of operation it is.
func (o *operation) what() string {
	if o.Kind == nil {
		return "unknown"
	}
	if o.leaves() {
		return "leave"
	}
	s := strings.ToLower(strings.TrimPrefix(fmt.Sprintf("%T", o.Kind), "*weftv1.Operation_"))
	return s
}

// complete fails where an outcome that a rule names never occurred: a rule that no history meets is not tested.
func (c coverage) complete(t interface{ Errorf(string, ...any) }) {
	for _, k := range outcomes {
		if c[k] == 0 {
			t.Errorf("no history came to: %s", k)
		}
	}
}

// outcomes that must occur.
var outcomes = []string{}
