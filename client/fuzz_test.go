package client_test

import (
	"testing"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/client"
	"weft/rpc/rpctest"
)

func FuzzDecode(f *testing.F) {
	key := rpctest.Key("device")
	e := board.NewEntry(board.Header{
		Team: board.TeamID{1}, Board: board.ID{2}, Author: board.UserID{3}, Device: key.Public(), DevSeq: 1, ClientMsgID: "m", HLC: 1, Kind: board.KindPost,
	}, []byte("hello"))
	e.Sign(key)
	f.Add(e.Raw, e.Signature, e.Body)
	f.Fuzz(func(t *testing.T, header, signature, body []byte) {
		m, err := client.Decode(&weftv1.Entry{Header: header, Signature: signature, Body: body})
		if err == nil && m.ID != e.ID && string(header) == string(e.Raw) {
			t.Errorf("%v", m)
		}
	})
}
