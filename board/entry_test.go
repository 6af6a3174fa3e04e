package board

import (
	"bytes"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	weftv1 "weft/api/weft/v1"
)

// The bytes of a header and its id, written down once: they may never change.
const (
	goldenHeader = "0a2001000000000000000000000000000000000000000000000000000000000000001210020000000000000000000000000000001a2003" +
		"00000000000000000000000000000000000000000000000000000000000000222004000000000000000000000000000000000000000000" +
		"0000000000000000000029050000000000000030023a200600000000000000000000000000000000000000000000000000000000000000" +
		"422007000000000000000000000000000000000000000000000000000000000000004a03612d315100000068e5cf8b0158810160056a20" +
		"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
	goldenEntryID = "qxaodg5amqbzliflvuzn5fh7ib75hc5wwkvt36gwkgu6hoqhhsvq"
)

func TestHeaderBytesAreFixed(t *testing.T) {
	h := sampleHeader()
	want, err := hex.DecodeString(goldenHeader)
	if err != nil {
		t.Fatal(err)
	}
	got := h.Append(nil)
	if !bytes.Equal(got, want) {
		t.Fatalf("header is\n%x, want\n%x", got, want)
	}
	if e := NewEntry(sampleHeader(), []byte("hello")); e.ID.String() != goldenEntryID {
		t.Fatalf("entry id is %s", e.ID)
	}
	var m weftv1.EntryHeader
	if err := proto.Unmarshal(got, &m); err != nil || m.Hlc != uint64(h.HLC) || string(m.ClientMsgId) != h.ClientMsgID {
		t.Fatalf("protobuf reads %v, %v", &m, err)
	}
}

func TestHeaderSurvivesAnyValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := sampleHeader()
		h.Author = UserID{rapid.Byte().Draw(t, "author")}
		h.DevEpoch = rapid.Uint64().Draw(t, "epoch")
		h.DevSeq = rapid.Uint64Range(2, 1<<63).Draw(t, "seq")
		h.HLC = HLC(rapid.Uint64Min(1).Draw(t, "hlc"))
		h.Kind = Kind(rapid.Uint8Min(1).Draw(t, "kind"))
		h.ClientMsgID = string(rapid.SliceOfN(rapid.Byte(), 1, MaxClientMsgID).Draw(t, "id"))
		h.KeyID = rapid.Uint64().Draw(t, "key")
		got, err := ParseHeader(h.Append(nil))
		if err != nil || got != h {
			t.Fatalf("%+v became %+v, %v", h, got, err)
		}
	})
}

func TestBadHeadersAreRefused(t *testing.T) {
	change := func(f func(*Header)) []byte {
		h := sampleHeader()
		f(&h)
		return h.Append(nil)
	}
	for name, b := range map[string][]byte{
		"empty":                    nil,
		"no team":                  change(func(h *Header) { h.Team = TeamID{} }),
		"no client_msg_id":         change(func(h *Header) { h.ClientMsgID = "" }),
		"long client_msg_id":       change(func(h *Header) { h.ClientMsgID = strings.Repeat("x", 65) }),
		"no hlc":                   change(func(h *Header) { h.HLC = 0 }),
		"no dev_seq":               change(func(h *Header) { h.DevSeq = 0 }),
		"dev_prev of the first":    change(func(h *Header) { h.DevSeq = 1 }),
		"no dev_prev":              change(func(h *Header) { h.DevPrev = Hash{} }),
		"body over 64 KiB":         change(func(h *Header) { h.BodyLen = MaxBody + 1 }),
		"short id":                 append(change(func(*Header) {}), 0x0a, 0x01, 0x00),
		"wrong wire type":          append(change(func(*Header) {}), 0x30<<0|0x02, 0x00),
		"cut":                      change(func(*Header) {})[:40],
		"group that does not end":  append(change(func(*Header) {}), 0xfb, 0x07),
		"kind over 255":            append(change(func(*Header) {}), 0x58, 0x80, 0x02),
		"field number zero":        append(change(func(*Header) {}), 0x00, 0x00),
		"length beyond the header": append(change(func(*Header) {}), 0x4a, 0xff, 0xff, 0xff, 0xff, 0x0f),
	} {
		if _, err := ParseHeader(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	big := append(change(func(*Header) {}), 0xfa, 0x07, 0x80, 0x20)
	if _, err := ParseHeader(append(big, make([]byte, 4096)...)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("over 4 KiB: %v", err)
	}
}

func TestUnknownFieldsAreKeptAndCovered(t *testing.T) {
	h := sampleHeader()
	raw := append(h.Append(nil), 0xf8, 0x07, 0x2a)
	e, err := ParseEntry(raw, make([]byte, 64), []byte("hello"), false)
	if err != nil || e.Header != h {
		t.Fatalf("read %+v, %v", e, err)
	}
	if e.ID == NewEntry(h, []byte("hello")).ID || !bytes.Equal(e.Raw, raw) {
		t.Fatal("the id does not cover the unknown field")
	}
}

func TestEntriesAreWhatTheDeviceSigned(t *testing.T) {
	k := NewKey([32]byte{1})
	h := sampleHeader()
	h.Device = k.Public()
	e := NewEntry(h, []byte("hello"))
	e.Sign(k)
	if !e.Verify() {
		t.Fatal("own signature does not fit")
	}
	back, err := ParseEntry(e.Raw, e.Signature, e.Body, false)
	if err != nil || back.ID != e.ID || !back.Verify() {
		t.Fatalf("read back: %v", err)
	}
	gone, err := ParseEntry(e.Raw, e.Signature, nil, true)
	if err != nil || !gone.Verify() {
		t.Fatalf("a body that is gone by right: %v", err)
	}
	for name, f := range map[string]func() (*Entry, error){
		"another body":    func() (*Entry, error) { return ParseEntry(e.Raw, e.Signature, []byte("hellO"), false) },
		"no body":         func() (*Entry, error) { return ParseEntry(e.Raw, e.Signature, nil, false) },
		"gone with bytes": func() (*Entry, error) { return ParseEntry(e.Raw, e.Signature, e.Body, true) },
		"signature cut":   func() (*Entry, error) { return ParseEntry(e.Raw, e.Signature[:63], e.Body, false) },
		"text of no UTF-8": func() (*Entry, error) {
			x := NewEntry(h, []byte{0xff})
			return ParseEntry(x.Raw, make([]byte, 64), x.Body, false)
		},
	} {
		if _, err := f(); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	bent := *e
	bent.Signature = slices.Clone(e.Signature)
	bent.Signature[3] ^= 1
	if bent.Verify() {
		t.Error("a bent signature fits")
	}
}

func TestDisplayOrderIsTotal(t *testing.T) {
	key := rapid.Custom(func(t *rapid.T) OrderKey {
		id := Hash{}
		id[rapid.IntRange(0, 31).Draw(t, "at")] = byte(rapid.IntRange(0, 2).Draw(t, "byte"))
		return OrderKey{HLC(rapid.IntRange(1, 3).Draw(t, "hlc")), id}
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := key.Draw(t, "a"), key.Draw(t, "b"), key.Draw(t, "c")
		if a.Compare(b) != -b.Compare(a) || (a.Compare(b) == 0) != (a == b) {
			t.Fatalf("%v and %v", a, b)
		}
		if a.Compare(b) <= 0 && b.Compare(c) <= 0 && a.Compare(c) > 0 {
			t.Fatalf("%v, %v, %v go round", a, b, c)
		}
		byBytes := bytes.Compare(a.ID[:], b.ID[:])
		if a.HLC == b.HLC && a.Compare(b) != byBytes {
			t.Fatalf("ids do not order as bytes: %v, %v", a, b)
		}
	})
}

func TestPostIDIsOfAuthorAndClientMsgID(t *testing.T) {
	a, b := sampleHeader(), sampleHeader()
	b.DevSeq, b.HLC, b.Device = 9, 1, DeviceID{8}
	if a.PostID() != b.PostID() {
		t.Error("another device or time makes another post of it")
	}
	b.ClientMsgID = "a-2"
	if a.PostID() == b.PostID() || a.PostID() == MakePostID(UserID{9}, "a-1") {
		t.Error("author or client_msg_id do not tell posts apart")
	}
}

func TestKindsSayWhatCounts(t *testing.T) {
	for k, counts := range map[Kind]bool{KindPost: true, KindReply: true, KindEdit: false, KindReaction: false, KindRedaction: false, KindOperation: false} {
		if k.Counts() != counts || strings.HasPrefix(k.String(), "kind-") {
			t.Errorf("%s counts %v", k, k.Counts())
		}
	}
	if Kind(0x99).String() != "kind-0x99" || !KindAck.Governance() || KindPost.Governance() {
		t.Error("kinds without a name, or of governance")
	}
}
