package rpc

import (
	"io"
	"net/http"
)

// limitBody ends request bodies over MaxRequest with an error that has an ErrorDetail: Connect's own limit would say
// the same without one.
func limitBody(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body != nil && r.ContentLength != 0 {
			r.Body = &limitedBody{ReadCloser: r.Body, left: MaxRequest}
		}
		next.ServeHTTP(w, r)
	})
}

// limitedBody is a request body of at most MaxRequest bytes. Only its reader uses it.
type limitedBody struct {
	io.ReadCloser
	left int64
}

func (b *limitedBody) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, wireError(tooLargeRequest())
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, wireError(tooLargeRequest())
	}
	return n, err
}

func tooLargeRequest() *refusal {
	return refuse(reasonTooLarge, "couldn't read the request: it has more than %d bytes", MaxRequest).hint("send fewer posts in one call")
}
