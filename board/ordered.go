package board

import "slices"

// ordered is a map whose keys are gone through in one order, so that nothing depends on the order of Go's maps.
type ordered[K comparable, V any] struct {
	compare func(a, b K) int
	values  map[K]V
	keys    []K
}

func newOrdered[K comparable, V any](compare func(a, b K) int) ordered[K, V] {
	return ordered[K, V]{compare: compare, values: map[K]V{}}
}

func (o *ordered[K, V]) get(k K) (V, bool) { v, ok := o.values[k]; return v, ok }

// at is the value of k, or the zero value.
func (o *ordered[K, V]) at(k K) V { return o.values[k] }

func (o *ordered[K, V]) put(k K, v V) {
	if _, ok := o.values[k]; !ok {
		i, _ := slices.BinarySearchFunc(o.keys, k, o.compare)
		o.keys = slices.Insert(o.keys, i, k)
	}
	o.values[k] = v
}

func (o *ordered[K, V]) drop(k K) {
	if _, ok := o.values[k]; ok {
		delete(o.values, k)
		i, _ := slices.BinarySearchFunc(o.keys, k, o.compare)
		o.keys = slices.Delete(o.keys, i, i+1)
	}
}

// all goes through a snapshot of the values by key: the loop may put and drop.
func (o *ordered[K, V]) all() func(yield func(K, V) bool) {
	keys := o.keys
	if len(keys) > 0 {
		keys = slices.Clone(keys)
	}
	return func(yield func(K, V) bool) {
		for _, k := range keys {
			if v, ok := o.values[k]; ok && !yield(k, v) {
				return
			}
		}
	}
}

func (o *ordered[K, V]) len() int { return len(o.keys) }
