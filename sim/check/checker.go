package check

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"
)

// Violation is a promise that was broken.
type Violation struct {
	Invariant string // "I1", "I2", …
	Text      string // what was seen, for a person
}

func (v Violation) String() string { return v.Invariant + ": " + v.Text }

// maxViolations bounds what is remembered of one run: the first ones tell the story.
const maxViolations = 1000

// Checker collects what happened and what was seen. The zero Checker is not usable; call New. Safe for concurrent use.
type Checker struct {
	mu         sync.Mutex
	tick       uint64 // counts calls; guarded by mu, as is all below
	violations []Violation
	dropped    int // violations beyond maxViolations

	posts     map[postKey]*post
	byEntry   map[string]*post // board/entry → post
	byText    map[string]*post // board/text hash → post, nil where two posts share a text
	readers   []*Reader
	lists     map[place]*list // the newest whole list
	hashes    map[place]string
	read      map[mark]map[string]bool
	records   map[recordKey]string // hash of each record ever seen
	recordAt  map[recordKey]string // who showed it first
	refused   map[refusal]int
	counted   map[refusal]int
	restored  map[string]uint64 // node → tick up to which it kept its data when it was rolled back
	removed   map[pair]uint64   // bytes that had been sent when it was known that no more may be
	vanishing map[string]uint64 // author → tick since which what they posted may be void
	duplicates,
	outOfOrder,
	late,
	missed int
}

type (
	postKey   struct{ board, author, msg string }
	place     struct{ node, board string }
	mark      struct{ node, user, board string }
	refusal   struct{ node, reason string }
	recordKey struct {
		board, origin string
		seq           uint64
	}
)

// New is an empty checker.
func New() *Checker {
	return &Checker{
		posts: map[postKey]*post{}, byEntry: map[string]*post{}, byText: map[string]*post{},
		lists: map[place]*list{}, hashes: map[place]string{}, read: map[mark]map[string]bool{},
		records: map[recordKey]string{}, recordAt: map[recordKey]string{},
		refused: map[refusal]int{}, counted: map[refusal]int{}, restored: map[string]uint64{},
		removed: map[pair]uint64{}, vanishing: map[string]uint64{},
	}
}

// Now is a point in the order of calls: everything told to the checker so far lies before it.
func (c *Checker) Now() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tick++
	return c.tick
}

// Violations are those found so far, in the order in which they were found.
func (c *Checker) Violations() []Violation {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Violation(nil), c.violations...)
}

// Err is nil if no promise was broken, and otherwise names the first few violations.
func (c *Checker) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.violations) == 0 {
		return nil
	}
	const shown = 10
	var b strings.Builder
	fmt.Fprintf(&b, "%d promises broken", len(c.violations)+c.dropped)
	for i, v := range c.violations {
		if i == shown {
			b.WriteString("\n  …")
			break
		}
		b.WriteString("\n  ")
		b.WriteString(v.String())
	}
	return errors.New(b.String())
}

// violate is called with mu held.
func (c *Checker) violate(invariant, format string, args ...any) {
	if len(c.violations) == maxViolations {
		c.dropped++
		return
	}
	c.violations = append(c.violations, Violation{invariant, fmt.Sprintf(format, args...)})
}

func textHash(text string) string {
	h := sha256.Sum256([]byte(text))
	return string(h[:16])
}

func short(s string) string {
	if len(s) > 14 {
		return s[:14] + "…"
	}
	return s
}
