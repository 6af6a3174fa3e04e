package store

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// removeUnbegun removes the newest value log and the newest memtable of a folder if they are empty. Badger makes such a file and
// gives it its size in two steps, at each start and whenever one is full; after a kill in between it refuses to open the
// store once. Nothing was ever written to such a file. An empty one among older ones is damage and stays.
func removeUnbegun(dir string) error {
	for _, kind := range []string{".vlog", ".mem"} {
		names, err := filepath.Glob(filepath.Join(dir, "*"+kind))
		if err != nil {
			return fmt.Errorf("couldn't look through the store's folder: %w", err)
		}
		newest := ""
		for _, n := range names { // numbers have at least five or six digits, with zeros before them
			if newest == "" || len(n) > len(newest) || len(n) == len(newest) && strings.Compare(n, newest) > 0 {
				newest = n
			}
		}
		if newest == "" {
			continue
		}
		f, err := os.Lstat(newest)
		if err != nil || f.Size() > 0 || !f.Mode().IsRegular() {
			continue // Badger says what is wrong with it
		}
		if err := os.Remove(newest); err != nil {
			return fmt.Errorf("couldn't remove an empty file of a start that was killed: %w: remove it by hand", err)
		}
	}
	return nil
}
