package rpc

import (
	"encoding/binary"
	"io"
	"net/http"
	"strings"
)

// limitBody ends request bodies over MaxRequest with an error that has an ErrorDetail: Connect's own limit would say
// the same without one.
func limitBody(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body != nil && r.ContentLength != 0 {
			r.Body = &limitedBody{ReadCloser: r.Body, left: MaxRequest + envelopeSize, framed: framed(r.Header.Get("Content-Type"))}
		}
		next.ServeHTTP(w, r)
	})
}

// framed says whether a body of this type has envelopes: gRPC's, gRPC-Web's and those of Connect's streams. Each of
// our requests is one.
func framed(contentType string) bool {
	return strings.HasPrefix(contentType, "application/grpc") || strings.HasPrefix(contentType, "application/connect+")
}

// limitedBody is a request body of at most MaxRequest bytes, its envelope apart. Only its reader uses it.
type limitedBody struct {
	io.ReadCloser
	left   int64
	framed bool
	head   []byte // the envelope, until it is whole
}

func (b *limitedBody) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, wireError(tooLargeRequest())
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= int64(n)
	if b.framed && len(b.head) < envelopeSize {
		b.head = append(b.head, p[:min(n, envelopeSize-len(b.head))]...)
		if len(b.head) == envelopeSize && binary.BigEndian.Uint32(b.head[1:]) > MaxRequest {
			b.left = -1 // said before it is sent
		}
	}
	if b.left < 0 {
		return 0, wireError(tooLargeRequest())
	}
	return n, err
}

func tooLargeRequest() *refusal {
	return refuse(reasonTooLarge, "couldn't read the request: it has more than %d bytes", MaxRequest).hint("send less in one call")
}
