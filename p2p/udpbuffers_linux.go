package p2p

import (
	"os"
	"strconv"
	"strings"
)

// UDPBuffersWanted is what quic-go asks of the system, in bytes, for its receive and send buffers.
const UDPBuffersWanted = 7 << 20

// UDPBuffers are the largest socket buffers that the system grants, in bytes; zero: unknown. Below UDPBuffersWanted,
// QUIC loses packets under load.
func UDPBuffers() (receive, send int) {
	return sysctl("/proc/sys/net/core/rmem_max"), sysctl("/proc/sys/net/core/wmem_max")
}

func sysctl(path string) int {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return 0
	}
	return n
}
