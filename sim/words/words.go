// Package words makes text that looks like English chat, for benchmarks and tests: the same seed and number give the same
// text. Words are drawn as often as a language draws them (Zipf's law), so that compression, hashing and search meet
// something like what people write rather than noise or one repeated letter.
package words

import (
	_ "embed"
	"math/rand/v2"
	"strings"
)

//go:embed words.txt
var list string

var vocabulary = strings.Fields(list)

// endings make of a few hundred words some thousands.
var endings = []string{"", "", "", "", "", "", "s", "ed", "ing", "er", "ly"}

// Text is the n-th text of a seed: sentences of size bytes, ASCII.
func Text(seed, n uint64, size int) string {
	r := rand.New(rand.NewPCG(seed, n))
	zipf := rand.NewZipf(r, 1.07, 6, uint64(len(vocabulary)-1))
	var b strings.Builder
	b.Grow(size + 16)
	start, left := true, 0
	for b.Len() < size {
		if left == 0 {
			left, start = 4+r.IntN(12), true
		}
		w := vocabulary[zipf.Uint64()]
		switch {
		case r.IntN(40) == 0: // numbers, versions, times
			w = string(rune('0'+r.IntN(10))) + string(rune('0'+r.IntN(10)))
		case len(w) > 4:
			w += endings[r.IntN(len(endings))]
		}
		if start {
			w = strings.ToUpper(w[:1]) + w[1:]
			start = false
		}
		b.WriteString(w)
		if left--; left == 0 {
			b.WriteByte(".?!"[r.IntN(3)])
		} else if r.IntN(12) == 0 {
			b.WriteByte(',')
		}
		b.WriteByte(' ')
	}
	return b.String()[:size]
}
