package store

import (
	"bytes"
	"fmt"

	"github.com/dgraph-io/badger/v4"
)

// recordReader reads the records of a damaged database in order. It reads on in a row, since a look-up of each record
// unpacks a block each time; where the row breaks off it looks records up, since Badger can end a row early without an
// error.
type recordReader struct {
	s    *Store
	txn  *badger.Txn
	it   *badger.Iterator // nil: to be begun at the next record
	log  logNum           // that it is of
	skip int              // records to be looked up before a row is tried again
}

// afterBreak is how many records are looked up after a row broke off: a block has fewer.
const afterBreak = 64

// read is the record at p. The error wraps errDecode where it cannot be had.
func (r *recordReader) read(p pos) (out stored, err error) {
	defer func() { // Badger panics on some damaged blocks
		if e := recover(); e != nil {
			r.it, r.skip = nil, afterBreak
			out, err = stored{}, fmt.Errorf("couldn't read record %d: %.200v: %w", p.seq, e, errDecode)
		}
	}()
	key := recordKey(p)
	if it := r.row(p, key); it != nil {
		if it.Valid() && bytes.Equal(it.Item().Key(), key) {
			v, err := it.Item().ValueCopy(nil)
			it.Next()
			if c, bad := unseal(key, v); err == nil && bad == nil {
				return parseStored(c)
			}
			return stored{}, errDecode
		}
		r.close()
		r.skip = afterBreak
	}
	return loadRecord(r.txn, p)
}

// row is an iterator that stands where p should be; nil: look p up.
func (r *recordReader) row(p pos, key []byte) *badger.Iterator {
	if r.it != nil && r.log == p.log {
		return r.it
	}
	if r.log != p.log {
		r.skip = 0
	}
	r.close()
	r.log = p.log
	if r.skip > 0 {
		r.skip--
		return nil
	}
	r.it = r.txn.NewIterator(badger.IteratorOptions{Prefix: logKey(tRecord, p.log)})
	r.it.Seek(key)
	return r.it
}

// close ends the row.
func (r *recordReader) close() {
	if r.it != nil {
		r.it.Close()
		r.it = nil
	}
}
