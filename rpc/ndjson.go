package rpc

import (
	"bytes"
	"encoding/binary"
	"io"
	"mime"
	"net/http"

	"connectrpc.com/connect"
)

// Envelopes of Connect's streams: flags 1, length 4, payload. Flag 2 marks the last one, a JSON object that may hold an
// error. See connectrpc.com/docs/protocol.
const (
	envelopeSize = 5
	flagLast     = 2
)

// plainStreams lets curl use streams without framing: a POST of plain JSON to a streaming procedure is answered with one
// JSON object a line (application/x-ndjson). A stream that fails ends with a line {"error": …}.
func plainStreams(streaming map[string]bool, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || !streaming[r.URL.Path] || !isJSON(r.Header.Get("Content-Type")) || r.Header.Get("Content-Encoding") != "" {
			next.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			//nolint:errcheck // the caller has gone
			connect.NewErrorWriter().Write(w, r, wireError(err))
			return
		}
		r = r.Clone(r.Context())
		r.Header.Set("Content-Type", "application/connect+json")
		r.Header.Del("Accept-Encoding")
		r.ContentLength = int64(envelopeSize + len(body))
		r.Body = io.NopCloser(io.MultiReader(bytes.NewReader(envelope(len(body))), bytes.NewReader(body)))
		next.ServeHTTP(&lineWriter{ResponseWriter: w}, r)
	})
}

func isJSON(contentType string) bool {
	kind, _, err := mime.ParseMediaType(contentType)
	return err == nil && kind == "application/json"
}

func envelope(size int) []byte {
	return binary.BigEndian.AppendUint32([]byte{0}, uint32(size))
}

// lineWriter turns envelopes into lines. Its handler alone uses it.
type lineWriter struct {
	http.ResponseWriter
	head []byte // of the envelope under way, until it is whole
	left int    // bytes of payload to come
	last bool   // the envelope under way is the last
	end  []byte // payload of the last
	said bool   // the header is written
}

func (w *lineWriter) WriteHeader(status int) {
	w.said = true
	if status == http.StatusOK {
		w.Header().Set("Content-Type", "application/x-ndjson")
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *lineWriter) Write(p []byte) (int, error) {
	if !w.said {
		w.WriteHeader(http.StatusOK)
	}
	size := len(p)
	for len(p) > 0 {
		if w.left == 0 {
			n := min(envelopeSize-len(w.head), len(p))
			w.head, p = append(w.head, p[:n]...), p[n:]
			if len(w.head) < envelopeSize {
				break
			}
			w.left, w.last = int(binary.BigEndian.Uint32(w.head[1:])), w.head[0]&flagLast != 0
			w.head = w.head[:0]
			if w.left > 0 {
				continue
			}
			if err := w.line(nil, true); err != nil {
				return 0, err
			}
			continue
		}
		n := min(w.left, len(p))
		w.left -= n
		if err := w.line(p[:n], w.left == 0); err != nil {
			return 0, err
		}
		p = p[n:]
	}
	return size, nil
}

// line writes a piece of a payload, and its end of line where whole.
func (w *lineWriter) line(piece []byte, whole bool) error {
	if w.last {
		w.end = append(w.end, piece...)
		if !whole || !bytes.Contains(w.end, []byte(`"error"`)) {
			return nil
		}
		piece = w.end
	}
	if _, err := w.ResponseWriter.Write(piece); err != nil {
		return err
	}
	if whole {
		_, err := w.ResponseWriter.Write([]byte{'\n'})
		return err
	}
	return nil
}

// Flush sends what was written.
func (w *lineWriter) Flush() {
	if !w.said {
		w.WriteHeader(http.StatusOK)
	}
	if f, ok := w.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
}

// Unwrap is for http.ResponseController.
func (w *lineWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
