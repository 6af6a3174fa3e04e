package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/pb"
	"google.golang.org/protobuf/proto"
)

// Badger's MANIFEST names the tables; Badger deletes tables that it does not name. It is a row of change sets behind the
// bytes "Bdgr", two bytes of the application (the store's format here) and two of Badger's version: length 4, crc32c 4,
// protobuf.

// checkManifest refuses folders of which Badger would delete everything.
func checkManifest(dir string) error {
	names, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("couldn't read the store's folder: %w", err)
	}
	other, manifest := false, false
	for _, n := range names {
		other = other || strings.HasSuffix(n.Name(), ".sst") || n.Name() == witnessName
		manifest = manifest || n.Name() == badger.ManifestFilename
	}
	if other && !manifest {
		return fmt.Errorf("couldn't open store in %s: %w", dir, ErrManifestMissing)
	}
	return checkManifestFormat(dir)
}

// checkManifestFormat refuses a store of another format before anything in it could be taken for damage.
func checkManifestFormat(dir string) error {
	f, err := os.Open(filepath.Join(dir, badger.ManifestFilename))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("couldn't read %s: %w", badger.ManifestFilename, err)
	}
	defer f.Close()
	var head [8]byte
	if _, err := io.ReadFull(f, head[:]); err != nil || string(head[:4]) != "Bdgr" {
		return nil // damaged, which is found out later
	}
	n, database := binary.BigEndian.Uint16(head[4:]), binary.BigEndian.Uint16(head[6:])
	switch { // larger numbers are no format but damage
	case n > format && n < 1024:
		return newerFormat(dir, uint64(n))
	case n < oldestFormat:
		return olderFormat(dir, uint64(n))
	case database > manifestVersion && database < 1024:
		return fmt.Errorf("couldn't open store in %s: its database has format %d, this version knows %d: %w", dir, database, manifestVersion, ErrNewerFormat)
	case database < manifestVersion:
		return fmt.Errorf("couldn't open store in %s: its database has format %d, this version needs %d: %w", dir, database, manifestVersion, ErrOlderFormat)
	}
	return nil
}

// replayManifest reads the MANIFEST. whole is false where its end is cut.
func replayManifest(dir string) (m badger.Manifest, whole bool, err error) {
	f, err := os.Open(filepath.Join(dir, badger.ManifestFilename))
	if err != nil {
		return m, false, err
	}
	defer f.Close()
	m, offset, err := badger.ReplayManifestFile(f, format, badger.DefaultOptions(dir).WithLogger(nil))
	if err != nil {
		return m, false, err
	}
	st, err := f.Stat()
	return m, err == nil && st.Size() == offset, err
}

// manifestDamage says what is wrong with the MANIFEST, or "". A cut end is no damage in itself: the process may have died
// while it was written.
func manifestDamage(dir string) string {
	_, _, err := replayManifest(dir)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	return fmt.Sprintf("%s: %v", badger.ManifestFilename, err)
}

const asideFolder = "aside"

// setAside keeps another name for each table that the MANIFEST does not name.
func setAside(dir string) (names []string, err error) {
	m, _, err := replayManifest(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("couldn't read %s: %w: restore the folder from a backup", badger.ManifestFilename, err)
	}
	for _, t := range tableFiles(dir) {
		id, err := strconv.ParseUint(strings.TrimSuffix(filepath.Base(t), ".sst"), 10, 64)
		if _, named := m.Tables[id]; named || err != nil {
			continue
		}
		to := filepath.Join(dir, asideFolder, filepath.Base(t))
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			return nil, fmt.Errorf("couldn't keep a table: %w", err)
		}
		if err := os.Link(t, to); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("couldn't keep a table: %w", err)
		}
		names = append(names, filepath.Base(t))
	}
	return names, nil
}

// putBack gives tables that were kept their names again.
func putBack(dir string, names []string) error {
	var first error
	for _, n := range names {
		err := os.Link(filepath.Join(dir, asideFolder, n), filepath.Join(dir, n))
		if err != nil && !errors.Is(err, fs.ErrExist) && first == nil {
			first = fmt.Errorf("couldn't put a table back: %w", err)
		}
	}
	return first
}

// nameTables writes a MANIFEST that names every table that can be opened, all in level 0: keys carry versions, so a
// table too many does no harm where the indexes are made anew. Others get another name.
func nameTables(dir string) error {
	changes := &pb.ManifestChangeSet{}
	for _, t := range tableFiles(dir) {
		id, err := strconv.ParseUint(strings.TrimSuffix(filepath.Base(t), ".sst"), 10, 64)
		if err == nil {
			err = checkTable(t, nil)
		}
		if err != nil {
			if err := os.Rename(t, t+".unreadable"); err != nil {
				return fmt.Errorf("couldn't set a damaged table aside: %w", err)
			}
			continue
		}
		changes.Changes = append(changes.Changes, &pb.ManifestChange{Id: id, Op: pb.ManifestChange_CREATE, Compression: uint32(compression)})
	}
	b, err := proto.Marshal(changes)
	if err != nil {
		return fmt.Errorf("couldn't make %s: %w", badger.ManifestFilename, err)
	}
	out := append([]byte("Bdgr"), 0, format, 0, manifestVersion)
	out = binary.BigEndian.AppendUint32(out, uint32(len(b)))
	out = binary.BigEndian.AppendUint32(out, checksum(nil, b))
	if err := os.WriteFile(filepath.Join(dir, badger.ManifestFilename), append(out, b...), 0o600); err != nil {
		return fmt.Errorf("couldn't write %s: %w", badger.ManifestFilename, err)
	}
	return nil
}

// manifestVersion is Badger's number of the MANIFEST's layout.
const manifestVersion = 8
