package store

import (
	"os"
	"path/filepath"
	"testing"
)

// copyFolder copies a closed (or crashed) store's folder.
func copyFolder(t testing.TB, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}
