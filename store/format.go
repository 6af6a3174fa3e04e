package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"
)

// format is the version of the layout on disk. It stands in the MANIFEST's head, so that an older program refuses the store
// before it takes anything for damage, and once more in the database (s), which says how far an upgrade came.
//
//	1 had its tables compressed with zstd: the version that wrote it has to read it
//	2 did not note what was pending when it was judged again (l): upgraded at Open, where everything is judged once more
const format = 3

// oldestFormat is the oldest one that Open upgrades.
const oldestFormat = 2

// upgradeManifest puts this format's number into the MANIFEST of an older store, which checkManifest let through. From here
// on an older program refuses the store, also where this one dies before load is through with it.
func upgradeManifest(dir string) (err error) {
	f, err := os.OpenFile(filepath.Join(dir, badger.ManifestFilename), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("couldn't open %s: %w: change the owner of the store's files", badger.ManifestFilename, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	var head [6]byte
	if _, err := f.ReadAt(head[:], 0); err != nil || string(head[:4]) != "Bdgr" {
		return nil // damaged, which is found out later
	}
	if n := binary.BigEndian.Uint16(head[4:]); n < oldestFormat || n >= format {
		return nil
	}
	if _, err = f.WriteAt([]byte{0, format}, 4); err == nil {
		err = f.Sync()
	}
	if err != nil {
		return fmt.Errorf("couldn't upgrade %s: %w", badger.ManifestFilename, err)
	}
	return nil
}

// checkFormat reads the store's format and id; format 0: there is none yet.
func (s *Store) checkFormat(txn *badger.Txn) (was uint32, err error) {
	c, err := get(txn, storeKey("format"))
	if err != nil {
		return 0, fmt.Errorf("couldn't read the store's format: %w: restore the folder from a backup, or move it away: what teammates hold comes back", err)
	}
	if c == nil {
		return 0, nil
	}
	if len(c) >= 4 {
		was = binary.BigEndian.Uint32(c)
	}
	switch {
	case was == 0 || was > format:
		return 0, newerFormat(s.opts.Dir, uint64(was))
	case was < oldestFormat:
		return 0, olderFormat(s.opts.Dir, uint64(was))
	}
	id, err := get(txn, storeKey("id"))
	if err != nil || len(id) != 16 {
		return 0, fmt.Errorf("couldn't read the store's id: %w: restore the folder from a backup, or move it away: what teammates hold comes back", errors.Join(err, errDecode))
	}
	s.setID([16]byte(id))
	return was, nil
}

func olderFormat(dir string, n uint64) error {
	return fmt.Errorf("couldn't open store in %s: its format is %d, this version needs %d: %w", dir, n, oldestFormat, ErrOlderFormat)
}

func newerFormat(dir string, n uint64) error {
	return fmt.Errorf("couldn't open store in %s: its format is %d, this version knows %d: %w", dir, n, format, ErrNewerFormat)
}

// upgrade has everything in an older store judged again. That it has this format is written last.
func (s *Store) upgrade(m *memory, was uint32) error {
	ts := s.snaps.last() + 1
	wb := s.db.NewWriteBatchAt(ts)
	defer wb.Cancel()
	put := func(k, c []byte) error { return wb.Set(k, seal(k, c)) }
	err := s.reviewAll(m, put)
	if err == nil {
		err = put(storeKey("format"), binary.BigEndian.AppendUint32(nil, format))
	}
	if err == nil {
		err = wb.Flush()
	}
	if err != nil {
		return fmt.Errorf("couldn't upgrade the store from format %d to %d: %w", was, format, err)
	}
	s.snaps.publish(ts, func() {})
	s.opts.Log.Info("the store has this version's format now: older versions of weft refuse it", "from", was, "to", format)
	return nil
}
