package team

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"weft/board"

	weftv1 "weft/api/weft/v1"
)

func testLink(t testing.TB, addresses ...string) *weftv1.InviteLink {
	t.Helper()
	c := newCrew(t)
	inv := c.add(c.invite(Member, nodeOf("home-of-ana"), 3, 1_900_000_000_000, "link"))
	l, err := NewLink(c.ev.State(), c.owner, inv, seedOf("link"), addresses)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestLinkAsPeoplePasteIt(t *testing.T) {
	l := testLink(t, "/ip4/192.0.2.1/udp/4001/quic-v1/p2p/12D3KooW", "/ip6/2001:db8::1/tcp/4001")
	s := EncodeLink(l)
	if strings.ContainsAny(s, " \n=+/") {
		t.Errorf("%q would not survive a chat", s)
	}
	wrapped := s[:40] + "\r\n" + s[40:80] + "\n  " + s[80:]
	for _, text := range []string{s, " " + s + "\n", "<" + s + ">", `"` + s + `"`, "'" + s + "'\t", "“" + s + "”", wrapped, "WEFT:" + s[5:]} {
		got, err := ParseLink(text)
		if err != nil || !proto.Equal(got, l) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestLinkErrors(t *testing.T) {
	s := EncodeLink(testLink(t, "/ip4/192.0.2.1/udp/4001/quic-v1"))
	for i := len("weft:"); i < len(s); i++ {
		if _, err := ParseLink(s[:i]); !errors.Is(err, ErrLinkTruncated) && !errors.Is(err, ErrLinkDamaged) {
			t.Errorf("cut after %d: %v", i, err)
		}
		other := byte('A')
		if s[i] == other {
			other = 'B'
		}
		if _, err := ParseLink(s[:i] + string(other) + s[i+1:]); !errors.Is(err, ErrLinkDamaged) && !errors.Is(err, ErrLinkTruncated) {
			t.Errorf("character %d changed: %v", i, err)
		}
	}
	if _, err := ParseLink(s[:len(s)/2]); !errors.Is(err, ErrLinkTruncated) {
		t.Error("half a link:", err)
	}
	if _, err := ParseLink(s[:len(s)/2] + "AAAA" + s[len(s)/2:]); !errors.Is(err, ErrLinkDamaged) {
		t.Error("something in the middle:", err)
	}
	for _, text := range []string{"", "weft", "http://example.org", "hello", strings.TrimPrefix(s, "weft:")} {
		if _, err := ParseLink(text); !errors.Is(err, ErrLinkPrefix) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := ParseLink("weft:" + strings.Repeat("A", maxLinkText)); !errors.Is(err, ErrLinkTooLong) {
		t.Error("a giant link:", err)
	}
	for _, text := range []string{"weft:$$$$", "weft:\xff\xff\xff\xff"} {
		if _, err := ParseLink(text); !errors.Is(err, ErrLinkDamaged) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestLinkBounds: a link with a good checksum may still be made by anyone.
func TestLinkBounds(t *testing.T) {
	for name, change := range map[string]func(l *weftv1.InviteLink){
		"no team":            func(l *weftv1.InviteLink) { l.Team = nil },
		"no name":            func(l *weftv1.InviteLink) { l.TeamName = "" },
		"a name that clears": func(l *weftv1.InviteLink) { l.TeamName = "\x1b[2J" },
		"no inviter":         func(l *weftv1.InviteLink) { l.Inviter = "" },
		"no invite":          func(l *weftv1.InviteLink) { l.Invites = nil },
		"17 invites": func(l *weftv1.InviteLink) {
			for range 16 {
				l.Invites = append(l.Invites, l.Invites[0])
			}
		},
		"a short seed":       func(l *weftv1.InviteLink) { l.Invites[0].Seed = make([]byte, 31) },
		"no admitter":        func(l *weftv1.InviteLink) { l.Invites[0].Admitter = nil },
		"17 addresses":       func(l *weftv1.InviteLink) { l.Invites[0].Addresses = strings.Split(strings.Repeat("a", 17), "") },
		"an endless address": func(l *weftv1.InviteLink) { l.Invites[0].Addresses = []string{strings.Repeat("a", 257)} },
		"an address of none": func(l *weftv1.InviteLink) { l.Invites[0].Addresses = []string{""} },
		"over 4 KiB together": func(l *weftv1.InviteLink) {
			l.Invites[0].Addresses = fat(16)
			l.Invites = append(l.Invites, l.Invites[0])
		},
	} {
		l := testLink(t)
		change(l)
		if _, err := ParseLink(EncodeLink(l)); !errors.Is(err, board.ErrMalformed) && !errors.Is(err, board.ErrTooLarge) && !errors.Is(err, ErrLinkTooLong) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func fat(n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprint(strings.Repeat("a", 250), i))
	}
	return out
}

func TestLinkTakesAsManyAddressesAsFit(t *testing.T) {
	l := testLink(t, append([]string{strings.Repeat("x", 300)}, fat(40)...)...)
	if n := len(l.Invites[0].Addresses); n < 13 || n > maxAddresses || l.Invites[0].Addresses[0] != fat(1)[0] {
		t.Errorf("%d addresses", n)
	}
	if _, err := ParseLink(EncodeLink(l)); err != nil {
		t.Error(err)
	}
}

func FuzzParseLink(f *testing.F) {
	s := EncodeLink(testLink(f, "/ip4/192.0.2.1/udp/4001/quic-v1"))
	raw, err := base64.RawURLEncoding.DecodeString(s[5:])
	if err != nil {
		f.Fatal(err)
	}
	f.Add(s, []byte{})
	f.Add("<"+s[:60]+">", raw[4:])
	f.Fuzz(func(t *testing.T, text string, form []byte) {
		sum := linkSum(form) // half the inputs get past the checksum
		for _, s := range []string{text, linkPrefix + base64.RawURLEncoding.EncodeToString(append(sum[:4:4], form...))} {
			l, err := ParseLink(s)
			if err != nil {
				continue
			}
			again, err := ParseLink(EncodeLink(l))
			if err != nil || !proto.Equal(l, again) {
				t.Fatalf("a link does not come back: %v", err)
			}
		}
	})
}
