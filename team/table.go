package team

import "maps"

// table is an immutable map in 256 parts, by the first byte of the key. A changed copy shares the parts that did not
// change, so that a snapshot after one more object costs some microseconds however large the team is.
type table[K ~[32]byte, V any] [256]map[K]V

func (t *table[K, V]) get(k K) (V, bool) {
	v, ok := t[k[0]][k]
	return v, ok
}

// with is a copy of t that has the given entries too.
func (t *table[K, V]) with(set map[K]V) *table[K, V] {
	if len(set) == 0 {
		return t
	}
	c := *t
	var copied [256]bool
	for k, v := range set {
		i := k[0]
		if !copied[i] {
			copied[i] = true
			if c[i] = maps.Clone(t[i]); c[i] == nil {
				c[i] = map[K]V{}
			}
		}
		c[i][k] = v
	}
	return &c
}

// all calls f with each entry, in no order.
func (t *table[K, V]) all(f func(K, V)) {
	for _, part := range t {
		for k, v := range part {
			f(k, v)
		}
	}
}
