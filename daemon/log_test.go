package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestLogLinesCanBeShownToStrangers(t *testing.T) {
	const (
		entry = "aaaaaaaabbbbbbbbccccccccddddddddeeeeeeeeffffffffgggg"
		board = "aaaaaaaabbbbbbbbccccccccdd"
		node  = "12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo"
		link  = "weft:AAAAAAECAwQFBgcICQoLDA0ODw"
		key   = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
		body  = "what people wrote"
	)
	for _, format := range []string{"text", "json"} {
		var out bytes.Buffer
		log := newLogger(&out, format, slog.LevelDebug)
		log.With("part", "p2p", "node", node).Info("got "+entry, "entry", entry, "board", board, "err", fmt.Errorf("refused %s: %w", link, errors.New(key)))
		log.WithGroup("g").Debug(link, "body", body, "text", body, "link", link, slog.Group("inner", "token", "s3cret", "node", node))
		line := out.String()
		for _, secret := range []string{entry, board, node, link, link[5:], key, body, "s3cret"} {
			if strings.Contains(line, secret) {
				t.Errorf("%s: %q was logged:\n%s", format, secret, line)
			}
		}
		for _, useful := range []string{"aaaaaaaa…", node[len(node)-8:], "p2p", "weft:…"} {
			if !strings.Contains(line, useful) {
				t.Errorf("%s: %q is missing:\n%s", format, useful, line)
			}
		}
	}
}

func TestOneTextCannotFillTheLog(t *testing.T) {
	var out bytes.Buffer
	newLogger(&out, "text", slog.LevelInfo).Info("rubbish", "err", strings.Repeat("x", 1<<20))
	if out.Len() > 2*maxLogText {
		t.Errorf("one line has %d bytes", out.Len())
	}
}
