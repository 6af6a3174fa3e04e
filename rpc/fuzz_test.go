package rpc

import (
	"bytes"
	"net/http/httptest"
	"testing"

	"google.golang.org/protobuf/proto"

	weftv1 "weft/api/weft/v1"
	"weft/board"
)

func FuzzPageToken(f *testing.F) {
	f.Add("")
	f.Add(pageToken(board.ID{1}, board.OrderKey{HLC: 7, ID: board.Hash{9}}))
	f.Fuzz(func(t *testing.T, s string) {
		k, ok := parsePageToken(board.ID{1}, s)
		if ok && pageToken(board.ID{1}, k) != s {
			t.Errorf("%q is read as %v, whose token is another", s, k)
		}
	})
}

func FuzzRequestCodec(f *testing.F) {
	b, err := proto.Marshal(&weftv1.PostRequest{Team: "crew", Posts: []*weftv1.NewPost{{Text: "hello"}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"team":"crew"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, unmarshal := range []func([]byte, any) error{binaryCodec{}.Unmarshal, jsonCodec{}.Unmarshal} {
			m := &weftv1.PostRequest{}
			if err := unmarshal(b, m); err != nil {
				t.Fatalf("a codec gave an error, which would go out without a detail: %v", err)
			}
			if err := unreadable(m); err != nil && (m.Team != "" || len(m.Posts) > 0) {
				t.Errorf("half a request was kept: %v", m)
			}
		}
	})
}

// FuzzLines feeds envelopes to a lineWriter in pieces of any size.
func FuzzLines(f *testing.F) {
	f.Add([]byte(`{"a":1}`), []byte(`{}`), uint8(3))
	f.Add([]byte{}, []byte(`{"error":{}}`), uint8(1))
	f.Fuzz(func(t *testing.T, payload, last []byte, step uint8) {
		stream := append(envelope(len(payload)), payload...)
		end := envelope(len(last))
		end[0] = flagLast
		stream = append(append(stream, end...), last...)
		rec := httptest.NewRecorder()
		w := &lineWriter{ResponseWriter: rec}
		for rest := stream; len(rest) > 0; {
			n := min(int(step)+1, len(rest))
			if wrote, err := w.Write(rest[:n]); err != nil || wrote != n {
				t.Fatalf("wrote %d of %d: %v", wrote, n, err)
			}
			rest = rest[n:]
		}
		want := append(bytes.Clone(payload), '\n')
		if bytes.Contains(last, []byte(`"error"`)) {
			want = append(append(want, last...), '\n')
		}
		if !bytes.Equal(rec.Body.Bytes(), want) {
			t.Errorf("got %q, want %q", rec.Body.Bytes(), want)
		}
	})
}
