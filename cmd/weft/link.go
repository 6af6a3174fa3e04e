package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"weft/team"
)

// reach is how far the addresses in a link lead.
type reach int

const (
	reachNone     reach = iota // there is none
	reachLoopback              // only to this machine
	reachFar
)

func linkReach(text string) (reach, error) {
	link, err := team.ParseLink(text)
	if err != nil {
		return reachNone, fmt.Errorf("couldn't read the link that the daemon made: %w", err)
	}
	best := reachNone
	for _, invite := range link.Invites {
		for _, addr := range invite.Addresses {
			best = max(best, addressReach(addr))
		}
	}
	return best, nil
}

func addressReach(addr string) reach {
	m, err := ma.NewMultiaddr(addr)
	switch {
	case err != nil:
		return reachNone
	case manet.IsIPLoopback(m):
		return reachLoopback
	}
	return reachFar
}

// parseAge reads a duration that may be given in days.
func parseAge(text string) (time.Duration, error) {
	if d, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(d, 10, 16)
		if err != nil {
			return 0, fmt.Errorf("%q isn't a duration: write it like 30m, 48h or 7d", text)
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Millisecond {
		return 0, fmt.Errorf("%q isn't a duration: write it like 30m, 48h or 7d", text)
	}
	return d, nil
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./:@%+=-]+$`)

// shellWord is text as a shell takes it for one word, for commands that people copy.
func shellWord(s string) string {
	if plainWord.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(oneLine(s), "'", `'\''`) + "'"
}
