package team

import (
	"crypto/sha256"

	"weft/board"
)

// OpenSeed is the seed of the key of the standing invite by which admitter lets people into a team that is open:
// sha256("weft/open/v1\0" ‖ team ‖ admitter). Anybody can know it, which is what being open means.
func OpenSeed(t board.TeamID, admitter board.NodeID) [32]byte {
	b := append([]byte("weft/open/v1\x00"), t[:]...)
	return sha256.Sum256(append(b, admitter[:]...))
}
