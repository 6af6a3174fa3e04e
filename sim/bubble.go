package sim

import (
	"fmt"

	"github.com/dgraph-io/badger/v4/y"
)

// Badger shares one zstd encoder and one decoder among all its databases, made at their first use. Made inside a synctest
// bubble, their channels would belong to that bubble and stop the program when the next bubble meets them. So they are
// made here, before any bubble, at the level that the store uses.
func init() {
	const level = 1
	packed, err := y.ZSTDCompress(nil, []byte("weft"), level)
	if err == nil {
		_, err = y.ZSTDDecompress(nil, packed)
	}
	if err != nil {
		panic(fmt.Sprintf("couldn't prepare zstd for simulations: %v", err))
	}
}
