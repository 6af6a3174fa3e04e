package daemon

import (
	"context"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tyler-smith/go-bip39"
)

func TestTheFirstStartMakesKeysThatOthersCannotRead(t *testing.T) {
	dir := t.TempDir()
	first, err := loadIdentity(dir, "Ada")
	if err != nil {
		t.Fatal(err)
	}
	if !first.First || first.User.Name != "Ada" {
		t.Errorf("first start: %v, name %q", first.First, first.User.Name)
	}
	again, err := loadIdentity(dir, "somebody else")
	if err != nil {
		t.Fatal(err)
	}
	if again.First || again.Node.Public() != first.Node.Public() || again.User.User != first.User.User || again.User.Name != "Ada" ||
		again.User.Device.Public() != first.User.Device.Public() {
		t.Error("the second start is somebody else")
	}
	err = filepath.WalkDir(filepath.Join(dir, "keys"), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		st, err := d.Info()
		if err == nil && st.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has permissions %04o", path, st.Mode().Perm())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAFirstStartThatWasCutShortBeginsAgain(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "keys.new"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "keys.new/node.key", "half a k")
	if _, err := loadIdentity(dir, "Ada"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "keys.new")); err == nil {
		t.Error("keys.new is still there")
	}
}

func TestUnusableKeysAreRefusedWithTheirName(t *testing.T) {
	for name, spoil := range map[string]func(keys string) error{
		"node.key readable by others":     func(k string) error { return os.Chmod(k+"/node.key", 0o640) },
		"recovery.key readable by others": func(k string) error { return os.Chmod(k+"/recovery.key", 0o604) },
		"keys open to others":             func(k string) error { return os.Chmod(k, 0o755) },
		"device.key missing":              func(k string) error { return os.Remove(k + "/device.key") },
		"charter.pb missing":              func(k string) error { return os.Remove(k + "/charter.pb") },
		"node.key is another key":         func(k string) error { return os.Rename(k+"/device.key", k+"/node.key") },
		"charter.pb cut":                  func(k string) error { return os.Truncate(k+"/charter.pb", 20) },
		"charter.pb empty":                func(k string) error { return os.Truncate(k+"/charter.pb", 0) },
		"node.key cut":                    func(k string) error { return os.Truncate(k+"/node.key", 30) },
	} {
		dir := t.TempDir()
		if _, err := loadIdentity(dir, "Ada"); err != nil {
			t.Fatal(err)
		}
		secret, err := os.ReadFile(filepath.Join(dir, "keys", "node.key"))
		if err != nil {
			t.Fatal(err)
		}
		keys := filepath.Join(dir, "keys")
		if err := spoil(keys); err != nil {
			t.Fatal(err)
		}
		_, err = loadIdentity(dir, "Ada")
		if err == nil {
			t.Errorf("%s: was taken", name)
			continue
		}
		if file, _, _ := strings.Cut(name, " "); !strings.Contains(err.Error(), file) && file != "device.key" {
			t.Errorf("%s: the message doesn't name it: %v", name, err)
		}
		if strings.Contains(err.Error(), strings.Fields(string(secret))[1][:16]) {
			t.Errorf("%s: the message contains the key: %v", name, err)
		}
	}
}

func TestKeysOfTwoNodesAreNotMixed(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	for _, dir := range []string{a, b} {
		if _, err := loadIdentity(dir, "Ada"); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Rename(filepath.Join(a, "keys/node.key"), filepath.Join(b, "keys/node.key")); err != nil {
		t.Fatal(err)
	}
	if _, err := loadIdentity(b, "Ada"); !errors.Is(err, ErrKeys) {
		t.Errorf("got %v", err)
	}
}

func TestAStoreWithoutKeysIsNotGivenNewOnes(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "store"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := loadIdentity(dir, "Ada"); !errors.Is(err, ErrKeys) {
		t.Errorf("got %v", err)
	}
}

func TestTheRecoveryKeyIsShownOnceAndErased(t *testing.T) {
	dir := t.TempDir()
	if _, err := loadIdentity(dir, "Ada"); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "keys", recoveryKeyFile))
	if err != nil {
		t.Fatal(err)
	}
	// Another name of the same file shows what stands on the disk afterwards.
	if err := os.Link(filepath.Join(dir, "keys", recoveryKeyFile), filepath.Join(dir, "spy")); err != nil {
		t.Fatal(err)
	}
	words, err := takeRecoveryKey(dir)
	if err != nil {
		t.Fatal(err)
	}
	seed, err := bip39.EntropyFromMnemonic(words)
	if err != nil || len(strings.Fields(words)) != 24 || !strings.Contains(string(text), hex.EncodeToString(seed)) {
		t.Errorf("%d words that don't give the key back: %v", len(strings.Fields(words)), err)
	}
	if HasRecoveryKey(dir) {
		t.Error("the file is still there")
	}
	left, err := os.ReadFile(filepath.Join(dir, "spy"))
	if err != nil || strings.Trim(string(left), "\x00") != "" {
		t.Errorf("the bytes are still on the disk: %v", err)
	}
	if words, err := takeRecoveryKey(dir); !errors.Is(err, ErrRecoveryKeyGone) || words != "" {
		t.Errorf("the second time: %v", err)
	}
	if _, err := loadIdentity(dir, "Ada"); err != nil {
		t.Errorf("the node doesn't start without it: %v", err)
	}
}

func TestTwoDaemonsDoNotShareAFolder(t *testing.T) {
	dir := t.TempDir()
	first, err := lockFolder(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if holder, held := Holder(dir); !held || holder != strconv.Itoa(os.Getpid()) {
		t.Errorf("the folder is held by %q (%v)", holder, held)
	}
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := lockFolder(impatient, dir); !errors.Is(err, ErrFolderInUse) {
		t.Errorf("the second got %v", err)
	}
	// A process that was killed keeps the lock for some milliseconds.
	time.AfterFunc(100*time.Millisecond, func() { first.Close() })
	second, err := lockFolder(t.Context(), dir)
	if err != nil {
		t.Fatalf("after the first had gone: %v", err)
	}
	second.Close()
	if holder, held := Holder(dir); held {
		t.Errorf("nobody's folder is held by %q", holder)
	}
}
