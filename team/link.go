package team

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"weft/board"

	weftv1 "weft/api/weft/v1"
)

// Limits of links.
const (
	MaxLink      = 4 << 10 // bytes of a link's protobuf form
	maxLinkText  = 8 << 10 // characters of its text
	maxInviteIDs = 16      // invites of one link, one for each admitter
	maxAddresses = 16      // of one admitter
	maxAddress   = 256     // bytes
)

const linkPrefix = "weft:"

// NewLink makes the link for an invite. addresses are multiaddrs of its admitter, the best first: as many as fit are
// taken. seed is that of the invite's key. Errors wrap ErrBadRequest or ErrLinkTooLong.
func NewLink(st *State, id Identity, invite *Object, seed [32]byte, addresses []string) (*weftv1.InviteLink, error) {
	inv := invite.Op.GetInvite()
	if inv == nil || board.TeamID(invite.Op.Team) != st.ID() {
		return nil, fmt.Errorf("couldn't make link: not an invite of the team: %w", ErrBadRequest)
	}
	if key := board.NewKey(seed).Public(); !bytes.Equal(key[:], inv.Key) {
		return nil, fmt.Errorf("couldn't make link: the seed is not that of the invite's key: %w", ErrBadRequest)
	}
	key := &weftv1.InviteKey{Invite: invite.Hash[:], Seed: seed[:], Admitter: inv.Admitter}
	l := &weftv1.InviteLink{
		Team: invite.Op.Team, TeamName: st.Name(), Inviter: id.Name, ExpiresMs: inv.ExpiresMs, Invites: []*weftv1.InviteKey{key},
	}
	for _, a := range addresses {
		if len(a) == 0 || len(a) > maxAddress || len(key.Addresses) == maxAddresses {
			continue
		}
		key.Addresses = append(key.Addresses, a)
		if proto.Size(l) > MaxLink {
			key.Addresses = key.Addresses[:len(key.Addresses)-1]
		}
	}
	return l, checkLink(l)
}

// EncodeLink is the text of a link: "weft:" and base64url, without padding, of a checksum (the first 4 bytes of
// sha256("weft/link/v1\0" ‖ protobuf)) and the protobuf form.
func EncodeLink(l *weftv1.InviteLink) string {
	b, err := proto.Marshal(l)
	if err != nil {
		return "" // a name that is not UTF-8; NewLink makes no such link
	}
	sum := linkSum(b)
	return linkPrefix + base64.RawURLEncoding.EncodeToString(append(sum[:4:4], b...))
}

func linkSum(b []byte) [32]byte { return sha256.Sum256(append([]byte("weft/link/v1\x00"), b...)) }

// ParseLink reads the text of a link as people paste it: white space anywhere, and <> or quotes around it, are ignored.
// Errors wrap ErrLinkPrefix, ErrLinkTruncated, ErrLinkDamaged, ErrLinkTooLong or board.ErrMalformed.
func ParseLink(s string) (*weftv1.InviteLink, error) {
	if len(s) > maxLinkText {
		return nil, fmt.Errorf("couldn't read link of %d characters: at most %d: %w", len(s), maxLinkText, ErrLinkTooLong)
	}
	s = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, s)
	s = strings.Trim(s, "<>\"'`“”‘’")
	if len(s) < len(linkPrefix) || !strings.EqualFold(s[:len(linkPrefix)], linkPrefix) {
		return nil, fmt.Errorf("couldn't read link: %w", ErrLinkPrefix)
	}
	text := s[len(linkPrefix):]
	if len(text)%4 == 1 { // no base64 has this length
		return nil, fmt.Errorf("couldn't read link: %w", ErrLinkTruncated)
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("couldn't read link: %w", ErrLinkDamaged)
	}
	if len(b) < 4 {
		return nil, fmt.Errorf("couldn't read link: %w", ErrLinkTruncated)
	}
	var l weftv1.InviteLink
	sum, b := b[:4], b[4:]
	if want := linkSum(b); !bytes.Equal(sum, want[:4]) {
		if cut(b) {
			return nil, fmt.Errorf("couldn't read link: %w", ErrLinkTruncated)
		}
		return nil, fmt.Errorf("couldn't read link: %w", ErrLinkDamaged)
	}
	if err := decode("link", b, MaxLink, &l); err != nil {
		return nil, err
	}
	return &l, checkLink(&l)
}

// cut says whether bytes look like the beginning of a link's protobuf form: all fields are known ones, and the last ends
// too early, or so few are there that the rest must be missing.
func cut(b []byte) bool {
	seen := 0
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return errors.Is(protowire.ParseError(n), io.ErrUnexpectedEOF)
		}
		if num > 5 {
			return false
		}
		b, seen = b[n:], int(num)
		if n = protowire.ConsumeFieldValue(num, typ, b); n < 0 {
			return errors.Is(protowire.ParseError(n), io.ErrUnexpectedEOF)
		}
		b = b[n:]
	}
	return seen < 4 // every link names its inviter, after all the rest but the expiry
}

func checkLink(l *weftv1.InviteLink) error {
	var c checker
	c.size(l.GetTeam(), 32, "the team's id")
	c.name(l.GetTeamName(), "the team's name")
	c.name(l.GetInviter(), "the inviter's name")
	c.that(len(l.GetInvites()) >= 1 && len(l.GetInvites()) <= maxInviteIDs, "a link carries 1 to 16 invites")
	for _, i := range l.GetInvites() {
		if WhereToAsk(i) {
			c.size(i.Invite, 0, "an invite without a seed")
		} else {
			c.size(i.Invite, 32, "an invite")
			c.size(i.Seed, 32, "a seed")
		}
		c.size(i.Admitter, 32, "an admitter")
		c.that(len(i.Addresses) <= maxAddresses, "too many addresses")
		for _, a := range i.Addresses {
			c.that(len(a) >= 1 && len(a) <= maxAddress, "an address is empty or too long")
		}
	}
	if c.why == "" && proto.Size(l) > MaxLink {
		return fmt.Errorf("couldn't use link: %w", ErrLinkTooLong)
	}
	return c.err("link")
}
