package daemon

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"strings"
)

// newLogger writes lines to w that can be shown to strangers: ids are cut short, invite links and recovery words are
// replaced, and attributes whose key isn't on the list keep their value for themselves.
func newLogger(w io.Writer, format string, level slog.Leveler) *slog.Logger {
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: cleanAttr}
	var h slog.Handler = slog.NewTextHandler(w, options)
	if format == "json" {
		h = slog.NewJSONHandler(w, options)
	}
	return slog.New(cleanHandler{h})
}

// cleanHandler cleans the message too, which ReplaceAttr of a handler sees only under its built-in key.
type cleanHandler struct{ slog.Handler }

func (h cleanHandler) Handle(ctx context.Context, r slog.Record) error {
	r.Message = cleanText(r.Message)
	return h.Handler.Handle(ctx, r)
}

func (h cleanHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return cleanHandler{h.Handler.WithAttrs(attrs)}
}

func (h cleanHandler) WithGroup(name string) slog.Handler {
	return cleanHandler{h.Handler.WithGroup(name)}
}

// loggedKeys are the attributes that may be written. None of them ever holds what people wrote, a token or a link.
var loggedKeys = keySet(`
	time level msg source err error reason
	node peer user device team board origin epoch seq entry record invite from to
	count n entries records bytes size free limit took took_ms age rtt delay wait retry attempt attempts
	addr addrs address dir file path socket version format code method procedure status state kind name topic protocol
	part step check result dropped refused cause component stack panic
	what key last first kept for in port prefix type governance shares_another rmem_max wmem_max found missing needed table why damaged teams role objects
`)

func keySet(list string) map[string]bool {
	set := map[string]bool{}
	for _, k := range strings.Fields(list) {
		set[k] = true
	}
	return set
}

func cleanAttr(_ []string, a slog.Attr) slog.Attr {
	if !loggedKeys[a.Key] && a.Value.Kind() != slog.KindGroup {
		return slog.String(a.Key, "(not logged)")
	}
	switch a.Value.Kind() {
	case slog.KindString:
		return slog.String(a.Key, cleanText(a.Value.String()))
	case slog.KindAny:
		return slog.String(a.Key, cleanText(fmt.Sprint(a.Value.Any())))
	default:
		return a
	}
}

// secretText: invite links, ids in their text forms (52 and 26 characters of base32, peer ids), and long runs of hex
// digits. Ids aren't secret, but who takes part in which team isn't for a log to tell either; 8 characters suffice to
// follow one of them through it.
var secretText = regexp.MustCompile(`weft:[A-Za-z0-9_-]+|\b12D3Koo[1-9A-HJ-NP-Za-km-z]{20,}|\b[a-z2-7]{52}\b|\b[a-z2-7]{26}\b|\b[0-9a-f]{32,}\b`)

func cleanText(s string) string {
	if len(s) > maxLogText {
		s = s[:maxLogText] + "…"
	}
	return secretText.ReplaceAllStringFunc(s, func(m string) string {
		switch {
		case strings.HasPrefix(m, "weft:"):
			return "weft:…"
		case strings.HasPrefix(m, "12D3Koo"):
			return "…" + m[len(m)-8:] // all peer ids begin alike
		default:
			return m[:8] + "…"
		}
	})
}

// maxLogText is how many bytes of one text a line takes: what strangers send ends up in error texts.
const maxLogText = 1 << 10
