package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// innerEnv marks the copy of the test that runs in namespaces of its own.
const innerEnv = "WEFT_TEST_IN_NAMESPACE"

// TestTwoMachines is two network namespaces joined by a cable (a veth pair): invite on one, join on the other, by the
// addresses in the link alone. It needs neither root nor the program ip: it re-executes itself in new user and network
// namespaces and talks to the kernel. Where the system forbids namespaces to this account, it says so and checks
// nothing, unless WEFT_NETNS=must, which .ci/run sets.
func TestTwoMachines(t *testing.T) { inNamespaces(t, twoMachines) }

// inNamespaces runs f in a copy of the test that is in namespaces of its own.
func inNamespaces(t *testing.T, f func(*testing.T)) {
	if os.Getenv(innerEnv) != "" {
		f(t)
		return
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), innerEnv+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	var ran *exec.ExitError
	switch {
	case err != nil && !errors.As(err, &ran) && os.Getenv("WEFT_NETNS") != "must":
		t.Logf("NOT TESTED: this system forbids network namespaces to this account (%v); as root this test runs", err)
	case err != nil:
		t.Errorf("%v\n%s", err, out)
	default:
		t.Logf("%s", out)
	}
}

// history is how many entries are to be there soon after a join.
const history = 20_000

func twoMachines(t *testing.T) {
	far, err := cable("10.77.0.1", "10.77.0.2")
	if err != nil {
		t.Fatalf("couldn't join two network namespaces: %v", err)
	}
	defer far.Close()
	a, b := bothEnds(t, int(far.Fd()), []string{"--post-rate=-1", "--mdns=false", "--listen", "/ip4/0.0.0.0/udp/0/quic-v1", "--listen", "/ip4/0.0.0.0/tcp/0"}, []string{"--mdns=false"})
	a.weft(t, "team", "create", "crew")
	a.feed(t, strings.Repeat("over the cable\n", history), "post", "crew", "-")
	link := strings.TrimSpace(a.weft(t, "team", "invite", "crew"))
	if r, err := linkReach(link); err != nil || r != reachFar {
		t.Fatalf("the link leads to no other machine: %d, %v", r, err)
	}
	began := time.Now()
	b.weft(t, "join", link)
	joined := time.Since(began)
	eventually(t, b, fmt.Sprintf("crew/general +%d\n", history), "unread")
	t.Logf("joined within %s, and all %d entries were there within %s", joined.Round(time.Millisecond), history, time.Since(began).Round(time.Millisecond))
	if last := b.weft(t, "read", "crew", "--last", "1"); !strings.Contains(last, "Ada: over the cable") {
		t.Errorf("reads %q", last)
	}
	b.weft(t, "post", "crew", "and back", "--wait", "replicated")
	eventually(t, a, "Ben: and back", "read", "crew")
	if peers := b.weft(t, "peers"); !strings.Contains(peers, "/ip4/10.77.0.1/") {
		t.Errorf("the connection doesn't go over the cable:\n%s", peers)
	}
	moves(t, a, b)
	strays(t, a, b, int(far.Fd()))
}

// bothEnds are Ada's daemon here and Ben's at the far end of the cable, both ready.
func bothEnds(t *testing.T, far int, ada, ben []string) (a, b *process) {
	t.Helper()
	env := os.Environ()
	a, err := launch(shortDir(t), env, append([]string{"--name", "Ada"}, ada...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.kill)
	dir := shortDir(t)
	err = inNamespace(far, func() (err error) {
		b, err = launch(dir, env, append([]string{"--name", "Ben", "--listen", "/ip4/10.77.0.2/udp/0/quic-v1", "--listen", "/ip4/10.77.0.2/tcp/0"}, ben...)...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.kill)
	for _, p := range []*process{a, b} {
		if err := p.ready(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return a, b
}

// moves gives a another address. b's connection to the old one is dead then, and b, which has dialled it, would hear
// nothing of that from its own side for half a minute.
func moves(t *testing.T, a, b *process) {
	t.Helper()
	if err := address("near", "10.77.0.1", false); err != nil {
		t.Fatal(err)
	}
	if err := address("near", "10.77.0.9", true); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	b.weft(t, "post", "crew", "are you there?")
	eventually(t, a, "Ben: are you there", "read", "crew", "--last", "1")
	t.Logf("after a's move b's post was there within %s", time.Since(began).Round(time.Millisecond))
	a.weft(t, "post", "crew", "here I am")
	eventually(t, b, "Ada: here I am", "read", "crew", "--last", "1")
	t.Logf("and a's answer within %s", time.Since(began).Round(time.Millisecond))
	eventually(t, b, "/ip4/10.77.0.9/", "peers")
	if !strings.Contains(b.log(), "a connection is dead") {
		t.Errorf("b waited for its transport to give the connection up:\n%s", b.log())
	}
}

// strays has both come back at addresses and ports that the other has never heard of: only the local network can tell
// them (mDNS).
func strays(t *testing.T, a, b *process, far int) {
	t.Helper()
	for _, p := range []*process{a, b} {
		if err := p.stop(); err != nil {
			t.Fatal(err)
		}
	}
	move := func(link, from, to string) error {
		if err := address(link, from, false); err != nil {
			return err
		}
		return address(link, to, true)
	}
	if err := move("near", "10.77.0.9", "10.77.0.21"); err != nil {
		t.Fatal(err)
	}
	env := os.Environ()
	a, err := launch(a.dir, env, "--mdns=true", "--listen", "/ip4/10.77.0.21/udp/4021/quic-v1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.kill)
	err = inNamespace(far, func() (err error) {
		if err := move("far", "10.77.0.2", "10.77.0.22"); err != nil {
			return err
		}
		b, err = launch(b.dir, env, "--mdns=true", "--listen", "/ip4/10.77.0.22/udp/4022/quic-v1")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.kill)
	for _, p := range []*process{a, b} {
		if err := p.ready(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	eventually(t, a, "connected, (in|out)bound", "peers")
	t.Logf("they found each other on the local network within %s", time.Since(began).Round(time.Millisecond))
	b.weft(t, "post", "crew", "found you")
	eventually(t, a, "Ben: found you", "read", "crew", "--last", "1")
}

// eventually runs a command until its output matches.
func eventually(t *testing.T, p *process, pattern string, args ...string) {
	t.Helper()
	re := regexp.MustCompile("(?s)" + pattern)
	var out string
	for end := time.Now().Add(patience); time.Now().Before(end); <-time.After(50 * time.Millisecond) {
		if out = p.weft(t, args...); re.MatchString(out) {
			return
		}
	}
	t.Fatalf("weft %q never printed %s:\n%s\n%s", args, pattern, out, p.log())
}

// cable makes a second network namespace and joins it to this one by a veth pair with these addresses.
func cable(here, there string) (far *os.File, err error) {
	runtime.LockOSThread() // namespaces belong to threads
	defer runtime.UnlockOSThread()
	near, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return nil, err
	}
	defer near.Close()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return nil, fmt.Errorf("couldn't make a network namespace: %w", err)
	}
	if far, err = os.Open("/proc/thread-self/ns/net"); err != nil {
		return nil, err
	}
	if err := unix.Setns(int(near.Fd()), unix.CLONE_NEWNET); err != nil {
		return nil, err
	}
	if err := netlink(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL, vethMessage("near", "far", uint32(far.Fd()))); err != nil {
		return nil, fmt.Errorf("couldn't make a veth pair: %w", err)
	}
	if err := switchOn("near", here); err != nil {
		return nil, err
	}
	return far, inNamespace(int(far.Fd()), func() error { return switchOn("far", there) })
}

// inNamespace calls f on a thread that is in the network namespace; processes that f starts are in it too.
func inNamespace(ns int, f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	defer home.Close()
	if err := unix.Setns(ns, unix.CLONE_NEWNET); err != nil {
		return err
	}
	err = f()
	return errors.Join(err, unix.Setns(int(home.Fd()), unix.CLONE_NEWNET))
}

// switchOn gives a link its address and turns it and the loopback link on.
func switchOn(link, at string) error {
	if err := address(link, at, true); err != nil {
		return err
	}
	index, err := linkIndex(link)
	if err != nil {
		return err
	}
	lo, err := linkIndex("lo")
	if err != nil {
		return err
	}
	for _, i := range []uint32{index, lo} {
		if err := netlink(unix.RTM_NEWLINK, 0, linkMessage(i, unix.IFF_UP)); err != nil {
			return fmt.Errorf("couldn't turn a link on: %w", err)
		}
	}
	return nil
}

// address gives a link an address, or takes it away.
func address(link, at string, give bool) error {
	index, err := linkIndex(link)
	if err != nil {
		return err
	}
	var ip [4]byte
	if _, err := fmt.Sscanf(at, "%d.%d.%d.%d", &ip[0], &ip[1], &ip[2], &ip[3]); err != nil {
		return err
	}
	m := append([]byte{unix.AF_INET, 24, 0, 0}, u32(index)...)
	m = append(m, attribute(unix.IFA_LOCAL, ip[:])...)
	m = append(m, attribute(unix.IFA_ADDRESS, ip[:])...)
	kind, flags := uint16(unix.RTM_DELADDR), uint16(0)
	if give {
		kind, flags = unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_EXCL
	}
	if err := netlink(kind, flags, m); err != nil {
		return fmt.Errorf("couldn't change the address of %s: %w", link, err)
	}
	return nil
}

// linkIndex asks the kernel on this very thread; package net might ask on another, which is elsewhere.
func linkIndex(name string) (uint32, error) {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(s)
	req, err := unix.NewIfreq(name)
	if err != nil {
		return 0, err
	}
	if err := unix.IoctlIfreq(s, unix.SIOCGIFINDEX, req); err != nil {
		return 0, fmt.Errorf("couldn't find link %s: %w", name, err)
	}
	return req.Uint32(), nil
}

// The messages below are rtnetlink(7): a header, a fixed part, and attributes of length, type and value.

func u32(v uint32) []byte { return binary.NativeEndian.AppendUint32(nil, v) }

// linkMessage is struct ifinfomsg.
func linkMessage(index, flags uint32) []byte {
	m := []byte{unix.AF_UNSPEC, 0, 0, 0}
	m = append(m, u32(index)...)
	m = append(m, u32(flags)...)
	return append(m, u32(flags)...) // the flags that change
}

func attribute(kind uint16, value []byte) []byte {
	a := binary.NativeEndian.AppendUint16(nil, uint16(4+len(value)))
	a = binary.NativeEndian.AppendUint16(a, kind)
	a = append(a, value...)
	for len(a)%4 != 0 {
		a = append(a, 0)
	}
	return a
}

// vethMessage makes a pair of links, the second in another namespace.
func vethMessage(near, far string, ns uint32) []byte {
	peer := linkMessage(0, 0)
	peer = append(peer, attribute(unix.IFLA_IFNAME, []byte(far+"\x00"))...)
	peer = append(peer, attribute(unix.IFLA_NET_NS_FD, u32(ns))...)
	info := attribute(unix.IFLA_INFO_KIND, []byte("veth"))
	const vethInfoPeer = 1
	info = append(info, attribute(unix.IFLA_INFO_DATA, attribute(vethInfoPeer, peer))...)
	m := linkMessage(0, 0)
	m = append(m, attribute(unix.IFLA_IFNAME, []byte(near+"\x00"))...)
	return append(m, attribute(unix.IFLA_LINKINFO, info)...)
}

// netlink sends one request on this thread and waits for the kernel's word.
func netlink(kind, flags uint16, body []byte) error {
	s, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	m := u32(uint32(16 + len(body)))
	m = binary.NativeEndian.AppendUint16(m, kind)
	m = binary.NativeEndian.AppendUint16(m, flags|unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	m = append(m, u32(1)...) // our number of it
	m = append(m, u32(0)...)
	m = append(m, body...)
	if err := unix.Sendto(s, m, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	answer := make([]byte, 8<<10)
	n, _, err := unix.Recvfrom(s, answer, 0)
	if err != nil {
		return err
	}
	if n < 20 || binary.NativeEndian.Uint16(answer[4:]) != unix.NLMSG_ERROR {
		return errors.New("the kernel gave no answer to netlink")
	}
	if code := int32(binary.NativeEndian.Uint32(answer[16:])); code != 0 {
		return unix.Errno(-code)
	}
	return nil
}
