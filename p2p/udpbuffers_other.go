//go:build !linux

package p2p

// UDPBuffersWanted is what quic-go asks of the system, in bytes, for its receive and send buffers.
const UDPBuffersWanted = 7 << 20

// UDPBuffers are the largest socket buffers that the system grants, in bytes; zero: unknown, as here.
func UDPBuffers() (receive, send int) { return 0, 0 }
