package store

import (
	"fmt"
	"os"
	"path/filepath"
)

// removeEmpty removes value logs and memtables of a folder that are empty. Badger makes such a file and gives it its size in two
// steps, at each start and whenever one is full; and it deletes one that it has no more use for by cutting it to nothing first.
// After a kill in between it refuses to open the store once, and then takes the file for a new one. Should one be empty by
// damage, then what stood in it is missed as if the file were gone: see valuesMissing.
func removeEmpty(dir string) error {
	for _, kind := range []string{".vlog", ".mem"} {
		names, err := filepath.Glob(filepath.Join(dir, "*"+kind))
		if err != nil {
			return fmt.Errorf("couldn't look through the store's folder: %w", err)
		}
		for _, name := range names {
			f, err := os.Lstat(name)
			if err != nil || f.Size() > 0 || !f.Mode().IsRegular() {
				continue // Badger says what is wrong with it
			}
			if err := os.Remove(name); err != nil {
				return fmt.Errorf("couldn't remove an empty file that a kill left: %w: remove it by hand", err)
			}
		}
	}
	return nil
}
