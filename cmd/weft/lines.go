package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"

	"weft/client"
)

const (
	// maxLine is the longest text that an entry can hold, in bytes.
	maxLine = 64 << 10
	// feedBuffer is how many lines may wait, so that a fast feed goes in full batches.
	feedBuffer = 1000
)

// lines is a text stream on its way to a board. err is set before items is closed and may be read after that.
type lines struct {
	items chan client.FeedItem
	err   error
}

// readLines reads in until its end, an unusable line or the end of ctx. A reader that blocks keeps its goroutine until
// the program ends, since reading from a terminal or pipe can't be called off.
func readLines(ctx context.Context, in io.Reader, id string) *lines {
	l := &lines{items: make(chan client.FeedItem, feedBuffer)}
	go func() {
		defer close(l.items)
		l.err = l.read(ctx, in, id)
	}()
	return l
}

func (l *lines) read(ctx context.Context, in io.Reader, id string) error {
	scanner := bufio.NewScanner(in)
	scanner.Buffer(make([]byte, 0, maxLine), maxLine+3) // a full line, its end, and one byte to notice more
	var n, entries uint64
	for scanner.Scan() {
		n++
		text := scanner.Text()
		switch {
		case text == "":
			continue
		case len(text) > maxLine:
			return fmt.Errorf("line %d is longer than the %d bytes that an entry can hold (TOO_LARGE); split it", n, maxLine)
		case !utf8.ValidString(text):
			return fmt.Errorf("line %d isn't UTF-8 (NOT_UTF8); convert the feed first, for example with iconv", n)
		}
		entries++
		select {
		case l.items <- client.FeedItem{Text: text, ClientMsgID: lineID(id, entries)}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if errors.Is(scanner.Err(), bufio.ErrTooLong) {
		return fmt.Errorf("line %d is longer than the %d bytes that an entry can hold (TOO_LARGE); split it", n+1, maxLine)
	}
	if err := scanner.Err(); err != nil {
		return fmt.Errorf("couldn't read standard input after line %d: %w", n, err)
	}
	return nil
}

// lineID is the client_msg_id of the n-th entry of a feed, or none where the feed has no id.
func lineID(id string, n uint64) string {
	if id == "" {
		return ""
	}
	return id + "/" + strconv.FormatUint(n, 10)
}
