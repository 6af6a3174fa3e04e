package p2p

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// shownHosts is how many addresses an error names at most.
const shownHosts = 4

// unreached is why a peer couldn't be dialled, in one line for people: hosts and the causes. libp2p's own text, which
// has a line for each address, goes to the log.
func unreached(err error) error {
	if err == nil {
		return nil
	}
	var dial *swarm.DialError
	if !errors.As(err, &dial) || len(dial.DialErrors) == 0 {
		return errors.New(cause(err))
	}
	var hosts, causes []string
	for _, e := range dial.DialErrors {
		if h := hostOf(e.Address); h != "" && !slices.Contains(hosts, h) {
			hosts = append(hosts, h)
		}
		if c := cause(e.Cause); !slices.Contains(causes, c) {
			causes = append(causes, c)
		}
	}
	if more := len(hosts) - shownHosts; more > 0 {
		hosts = append(hosts[:shownHosts], "…")
	}
	return errors.New("at " + strings.Join(hosts, ", ") + ": " + strings.Join(causes, ", "))
}

// cause is the kernel of a dial's failure.
func cause(err error) string {
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return "no way there from this machine"
	case errors.Is(err, context.Canceled):
		return "given up"
	case errors.Is(err, context.DeadlineExceeded), os.IsTimeout(err), errors.As(err, &timeout) && timeout.Timeout():
		return "no answer in time"
	case errors.Is(err, swarm.ErrNoAddresses), errors.Is(err, swarm.ErrNoGoodAddresses):
		return "no address of it can be used"
	case errors.Is(err, swarm.ErrGaterDisallowedConnection):
		return "this node doesn't talk to it"
	}
	text, _, _ := strings.Cut(err.Error(), "\n")
	if at := strings.LastIndex(text, ": "); at >= 0 {
		text = text[at+2:]
	}
	return cutText(text, 80)
}

// cutText is at most so many bytes of a text, some of which may come from elsewhere: what can't be read as UTF-8 can't be told
// on over the API.
func cutText(s string, most int) string { return strings.ToValidUTF8(s[:min(len(s), most)], "") }

// hostOf is the host part of an address.
func hostOf(a ma.Multiaddr) string {
	if ip, err := manet.ToIP(a); err == nil {
		return ip.String()
	}
	if a == nil {
		return ""
	}
	first, _ := ma.SplitFirst(a)
	return cutText(first.Value(), maxAddrText)
}

// hostsOf are the different hosts of some addresses, for people.
func hostsOf(texts []string) string {
	var hosts []string
	for _, a := range linkAddrs(texts) {
		if h := hostOf(a); h != "" && !slices.Contains(hosts, h) {
			hosts = append(hosts, h)
		}
	}
	if len(hosts) > shownHosts {
		hosts = append(hosts[:shownHosts], "…")
	}
	return strings.Join(hosts, ", ")
}
