//go:build !linux

package rpc

import (
	"net"
	"os"
)

// allowed relies on the modes of the folder and the socket where the kernel can't be asked who connects.
func allowed(*net.UnixConn) error { return nil }

func owner(os.FileInfo) (int, bool) { return 0, false }
