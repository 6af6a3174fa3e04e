package daemon

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/tyler-smith/go-bip39"
)

// keyText is a key file: one line that says what it is, so that two files put in each other's place are noticed.
func keyText(name string, seed [32]byte) []byte {
	return []byte("weft/" + name + "/v1 " + hex.EncodeToString(seed[:]) + "\n")
}

func parseKeyText(name string, text []byte) (seed [32]byte, err error) {
	digits, ok := strings.CutPrefix(strings.TrimSuffix(string(text), "\n"), "weft/"+name+"/v1 ")
	if raw, bad := hex.DecodeString(digits); ok && bad == nil && len(raw) == len(seed) {
		return [32]byte(raw), nil
	}
	// The text itself must not go into a message.
	return seed, fmt.Errorf("couldn't use %s: it isn't a weft key file; bring it back from a backup: %w", name, ErrKeys)
}

func readKey(keys, name string) (seed [32]byte, err error) {
	text, err := readPrivate(filepath.Join(keys, name))
	if err != nil {
		return seed, err
	}
	return parseKeyText(name, text)
}

// readPrivate reads a file that nobody else may read.
func readPrivate(path string) ([]byte, error) {
	if err := checkPrivate(path); err != nil {
		return nil, err
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("couldn't read a key: %w", err)
	}
	return b, nil
}

// checkPrivate refuses files and folders that others on the machine may open.
func checkPrivate(path string) error {
	st, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("couldn't find %s: bring it back from a backup: %w", path, ErrKeys)
	}
	if err != nil {
		return fmt.Errorf("couldn't look at %s: %w", path, err)
	}
	if perm := st.Mode().Perm(); perm&0o077 != 0 {
		want := "600"
		if st.IsDir() {
			want = "700"
		}
		return fmt.Errorf("others on this machine may open %s (its permissions are %04o); run: chmod %s %s: %w", path, perm, want, path, ErrKeys)
	}
	return nil
}

// writeSynced makes a file that only its owner may read, on disk before it returns.
func writeSynced(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// ErrRecoveryKeyGone says that the recovery key was shown before.
var ErrRecoveryKeyGone = errors.New("the recovery key was shown before and is no longer on this machine")

// takeRecovery lets one caller at a time, and so one only, have the key.
var takeRecovery sync.Mutex

// HasRecoveryKey says whether the recovery key still lies in dir, which it should not for long.
func HasRecoveryKey(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, "keys", recoveryKeyFile))
	return err == nil
}

// takeRecoveryKey returns the recovery key as 24 words (BIP-39, English) and erases it: the file is overwritten, synced
// and removed. Copy-on-write file systems and flash may keep the old block all the same; nothing in user space can help it.
func takeRecoveryKey(dir string) (string, error) {
	takeRecovery.Lock()
	defer takeRecovery.Unlock()
	if !HasRecoveryKey(dir) {
		return "", ErrRecoveryKeyGone
	}
	keys := filepath.Join(dir, "keys")
	seed, err := readKey(keys, recoveryKeyFile)
	if err != nil {
		return "", err
	}
	words, err := bip39.NewMnemonic(seed[:])
	if err != nil {
		return "", fmt.Errorf("couldn't write the recovery key as words: %w", err)
	}
	if err := erase(filepath.Join(keys, recoveryKeyFile)); err != nil {
		return "", fmt.Errorf("couldn't erase the recovery key, so it isn't shown either: %w", err)
	}
	return words, nil
}

// erase overwrites a file in place and removes it.
func erase(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	st, err := f.Stat()
	if err == nil {
		_, err = f.Write(make([]byte, st.Size()))
	}
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}
