package main

import (
	"fmt"
	"io"
)

// sink is where output goes. It remembers the first error, since what a command prints for people is written line by
// line with nobody looking; the end of every command does. Not safe for concurrent use.
type sink struct {
	to  io.Writer
	err error
}

// Write writes nothing after an error: output with holes is worse than output that ends.
func (s *sink) Write(b []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.to.Write(b)
	s.err = err
	return n, err
}

// broken says why something that was printed didn't arrive, or nil.
func (s *sink) broken() error {
	if s.err == nil {
		return nil
	}
	return fmt.Errorf("couldn't write to standard output: %w", s.err)
}
