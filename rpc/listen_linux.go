package rpc

import (
	"fmt"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// allowed checks with the kernel who is at the other end: the user whom this process runs as, or root.
func allowed(c *net.UnixConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return fmt.Errorf("couldn't ask who connects: %w", err)
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return fmt.Errorf("couldn't ask who connects: %w", err)
	}
	if credErr != nil {
		return fmt.Errorf("couldn't ask who connects: %w", credErr)
	}
	return allowedUser(int(cred.Uid), os.Geteuid())
}

// owner is the user id that a file belongs to.
func owner(info os.FileInfo) (int, bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(st.Uid), true
}
