package team

import "maps"

// table is an immutable map in 256 parts, by the first byte of the key. A changed copy shares the parts that did not
// change, so that a snapshot after one more object costs some microseconds however large the team is, and so that two
// snapshots are compared by what differs.
type table[K ~[32]byte, V any] [256]*part[K, V]

type part[K comparable, V any] struct{ m map[K]V }

func (t *table[K, V]) get(k K) (v V, ok bool) {
	if p := t[k[0]]; p != nil {
		v, ok = p.m[k]
	}
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
			p := &part[K, V]{m: map[K]V{}}
			if t[i] != nil {
				p.m = maps.Clone(t[i].m)
			}
			c[i] = p
		}
		c[i].m[k] = v
	}
	return &c
}

// all calls f with each entry, in no order.
func (t *table[K, V]) all(f func(K, V)) {
	for _, p := range t {
		if p != nil {
			for k, v := range p.m {
				f(k, v)
			}
		}
	}
}

// since calls f with the entries in parts that are not those of old: all that are new or another one, and some others.
func (t *table[K, V]) since(old *table[K, V], f func(k K, was V, now V)) {
	for i, p := range t {
		if p == nil || p == old[i] {
			continue
		}
		for k, now := range p.m {
			was, _ := old.get(k)
			f(k, was, now)
		}
	}
}
