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

func (c coverage) count(format string, args ...any) {
	c[strings.TrimSpace(fmt.Sprintf(format, args...))]++
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
		c.count("%s: %s %s", o.what(), v.Status, v.Rule)
	}
	for _, k := range st.e.charters {
		v := st.Objects[k.hash]
		c.count("charter: %s %s", v.Status, v.Rule)
	}
	for _, a := range st.e.acks {
		v := st.e.judgeAck(a)
		c.count("ack: %s %s", v.Status, v.Rule)
	}
	seen := map[item]bool{}
	for _, h := range st.e.held {
		i, ok := h.item()
		if !ok || h.Object != nil || seen[i] {
			continue
		}
		seen[i] = true
		v := st.Shown(h.Entry)
		c.count("entry: %s %s", v.Status, v.Rule)
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
func (c coverage) complete(t interface{ Errorf(string, ...any) }, histories uint64) {
	expected := outcomes
	if histories >= 100000 {
		expected += rareOutcomes
	}
	for k := range strings.FieldsFuncSeq(expected, func(r rune) bool { return r == '\n' }) {
		if c[k] == 0 {
			t.Errorf("no history came to: %s", k)
		}
	}
}

// outcomes that must occur in 2,000 histories: each kind of object with each verdict that the rules have for it, and each
// rule that decides between things that count.
const outcomes = `
ack: pending charter
ack: pending device
ack: pending parent
ack: pending upgrade
ack: pending user
ack: valid
ack: void device removed
ack: void device removed without a cut
ack: void no power
ack: void team
admit: pending charter
admit: pending invite pending
admit: valid
admit: void admitter denied
admit: void admitter forked
admit: void charter not canonical
admit: void invite proof
admit: void invite void
admit: void inviter lost power
admit: void not the admitter
admit: void quota
admit: void team
admit: void uninvited
admit: void what it names is no invite
board: pending charter
board: pending device
board: pending user
board: valid
board: void after loss of power
board: void charter not canonical
board: void device removed
board: void no power
board: void team
charter: valid
charter: void not chosen
charter: void team
charters of a person: 1
charters of a person: 2
charters of a person: 3
charters of a person: 4
charters of a person: 5
charters on the chain: 1
charters on the chain: 2
charters on the chain: 3
charters on the chain: 4
charters on the chain: 5
charters on the chain: 6
entry: pending board
entry: pending board pending
entry: pending cred
entry: pending cred pending
entry: pending device
entry: pending upgrade
entry: pending user
entry: valid
entry: valid although its author was restricted
entry: void after loss of power
entry: void after removal
entry: void board void
entry: void cred can be no right
entry: void cred charter gives nothing
entry: void cred charter not canonical
entry: void cred does not count
entry: void cred's role
entry: void device removed
entry: void device removed without a cut
entry: void kind
entry: void no author
entry: void no counting record
entry: void order
entry: void team
floor: valid
floor: void charter not canonical
floor: void governance is never pruned
fork: valid
invite: pending charter
invite: pending device
invite: pending user
invite: valid
invite: void after loss of power
invite: void charter not canonical
invite: void device removed
invite: void device removed without a cut
invite: void no power
invite: void team
leave: pending device
leave: pending user
leave: valid
leave: void charter not canonical
leave: void device removed
leave: void target has power
met: acked more than one sibling
met: admitted twice by one invite
met: another proof of a named fork
met: below a position by its number
met: charter by most owners without the senior
met: charter of a person signed by none who may
met: charter with newer rules
met: charter with too few acks
met: charter without a cut
met: late ack
met: late ack with most of the others
met: of a removed device, under its cut
met: present about a device by one added later
met: present about a device is replaced
met: presents about a device: the most senior's hold
met: presents under the cut judge otherwise than all
met: record above a fork of a node let in again
met: record beyond a seal
met: record of a denied node above the cut
met: record without what it hangs on
met: recut gives back
met: recut takes away
met: right over a restriction
met: seal by a record that does not count
met: sibling charters of a person with one signer: lowest hash
met: sibling charters of a person: a senior signed above
met: sibling charters of a person: most senior signer
met: sibling charters: admins
met: sibling charters: hash
met: sibling charters: owner majority
met: sibling charters: owners
met: sibling charters: senior owner's device
met: signers of one object differ
met: under the cut of a restriction
node: pending charter
node: pending device
node: pending user
node: valid
node: void after loss of power
node: void charter not canonical
node: void device removed
node: void no power
node: void team
present: pending device
present: valid
present: void device of a losing charter
present: void device removed
present: void device removed without a cut
present: void team
record: counts false
record: counts true
request: pending device
request: pending user
request: valid
request: void charter not canonical
request: void device removed
role: admin
role: banned
role: member
role: muted
role: owner
role: reader
role: removed
set: pending charter
set: pending device
set: pending upgrade
set: pending user
set: valid
set: void after loss of power
set: void charter not canonical
set: void device removed
set: void device removed without a cut
set: void no power
set: void target has power
set: void team
uninvite: valid
uninvite: void after loss of power
uninvite: void charter not canonical
uninvite: void no power
uninvite: void team
unknown: unknown kind
`

// rareOutcomes must occur in 100,000.
const rareOutcomes = `
ack: void device of a losing charter
admit: pending upgrade
board: pending upgrade
board: void device of a losing charter
board: void device removed without a cut
charter: pending parent
charters of a person: 6
entry: void device of a losing charter
floor: pending charter
floor: pending upgrade
floor: pending user
floor: void after loss of power
floor: void no power
floor: void team
fork: void team
invite: pending upgrade
invite: void device of a losing charter
leave: pending charter
leave: pending upgrade
leave: void device removed without a cut
node: pending upgrade
node: void device of a losing charter
node: void device removed without a cut
present: pending user
request: pending charter
request: void device removed without a cut
request: void team
set: void device of a losing charter
uninvite: pending charter
uninvite: pending device
uninvite: pending user
uninvite: void device removed
`
