package daemon

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"

	"google.golang.org/protobuf/proto"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/team"
)

// Names in DIR/keys.
const (
	nodeKeyFile     = "node.key"
	deviceKeyFile   = "device.key"
	recoveryKeyFile = "recovery.key"
	charterFile     = "charter.pb"
)

// ErrKeys is wrapped by errors about the key files: missing, damaged, or readable by others.
var ErrKeys = errors.New("keys are unusable")

// identity is what a node and its user are: two keys in memory, and the charters that say so to others. The recovery key
// isn't part of it: it is read only to be shown.
type identity struct {
	Node  board.Key
	User  team.Identity // Device key, charters and name
	First bool          // was made by this start
}

// loadIdentity reads the identity in dir/keys, or makes it when dir has neither keys nor a store. The folder of keys
// appears whole or not at all, so a first start that is cut short leaves nothing half made.
func loadIdentity(dir, name string) (identity, error) {
	keys := filepath.Join(dir, "keys")
	_, err := os.Lstat(keys)
	switch {
	case err == nil:
		return readIdentity(keys)
	case !errors.Is(err, fs.ErrNotExist):
		return identity{}, fmt.Errorf("couldn't look into %s: %w", dir, err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "store")); err == nil {
		return identity{}, fmt.Errorf("couldn't find %s, but the node has a store: bring the folder back from a backup, or choose an empty --dir to begin anew: %w", keys, ErrKeys)
	}
	if name == "" {
		name = accountName()
	}
	if err := makeIdentity(dir, name); err != nil {
		return identity{}, fmt.Errorf("couldn't make the keys of a new node: %w", err)
	}
	id, err := readIdentity(keys)
	id.First = true
	return id, err
}

// LoadIdentity is the identity in dir/keys: the node's key and its user. It is made on the first call, with this name.
func LoadIdentity(dir, name string) (node board.Key, user team.Identity, err error) {
	if err := makeFolder(dir); err != nil {
		return node, user, err
	}
	id, err := loadIdentity(dir, name)
	return id.Node, id.User, err
}

// accountName is the operating system's name for who runs weft.
func accountName() string {
	if u, err := user.Current(); err == nil && u.Username != "" && len(u.Username) <= MaxNameBytes {
		return u.Username
	}
	return "someone"
}

func makeIdentity(dir, name string) error {
	var node, device, recovery [32]byte
	var nonce [16]byte
	for _, b := range [][]byte{node[:], device[:], recovery[:], nonce[:]} {
		if _, err := rand.Read(b); err != nil {
			return fmt.Errorf("couldn't get random bytes: %w", err)
		}
	}
	id, err := team.NewUser(name, board.NewKey(recovery), board.NewKey(device), board.NewKey(node), nonce)
	if err != nil {
		return err
	}
	charter, err := id.Marshal()
	if err != nil {
		return err
	}
	fresh := filepath.Join(dir, "keys.new")
	if err := os.RemoveAll(fresh); err != nil { // of a first start that was cut short
		return err
	}
	if err := os.Mkdir(fresh, 0o700); err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		text []byte
	}{
		{nodeKeyFile, keyText(nodeKeyFile, node)},
		{deviceKeyFile, keyText(deviceKeyFile, device)},
		{recoveryKeyFile, keyText(recoveryKeyFile, recovery)},
		{charterFile, charter},
	} {
		if err := writeSynced(filepath.Join(fresh, f.name), f.text); err != nil {
			return err
		}
	}
	if err := syncDir(fresh); err != nil {
		return err
	}
	if err := os.Rename(fresh, filepath.Join(dir, "keys")); err != nil {
		return err
	}
	return syncDir(dir)
}

func readIdentity(keys string) (identity, error) {
	var id identity
	if err := checkPrivate(keys); err != nil {
		return id, err
	}
	node, err := readKey(keys, nodeKeyFile)
	if err != nil {
		return id, err
	}
	device, err := readKey(keys, deviceKeyFile)
	if err != nil {
		return id, err
	}
	raw, err := readPrivate(filepath.Join(keys, charterFile))
	if err != nil {
		return id, err
	}
	id.Node = board.NewKey(node)
	if id.User, err = team.ParseIdentity(raw, board.NewKey(device)); err == nil {
		err = checkHome(id.User, id.Node.Public())
	}
	if err != nil {
		return id, fmt.Errorf("couldn't use %s: %w", filepath.Join(keys, charterFile), err)
	}
	// A recovery key that others may read is as bad as a node key that they may read.
	if HasRecoveryKey(filepath.Dir(keys)) {
		return id, checkPrivate(filepath.Join(keys, recoveryKeyFile))
	}
	return id, nil
}

// checkHome says whether the user's newest charter names this node: keys of two nodes must not be mixed up.
func checkHome(id team.Identity, node board.NodeID) error {
	if len(id.Charters) == 0 {
		return fmt.Errorf("it holds no charter; bring it back from a backup: %w", ErrKeys)
	}
	var newest weftv1.UserCharter
	if err := proto.Unmarshal(id.Charters[len(id.Charters)-1].Object, &newest); err != nil {
		return fmt.Errorf("the charter is damaged; bring it back from a backup: %w", ErrKeys)
	}
	for _, home := range newest.Homes {
		if string(home) == string(node[:]) {
			return nil
		}
	}
	return fmt.Errorf("the charter doesn't name this node: %s and %s don't belong together; bring both back from one backup: %w", nodeKeyFile, charterFile, ErrKeys)
}
