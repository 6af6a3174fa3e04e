package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets this test binary be the program itself, so that the tests run real processes of the code at hand.
func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"weft": main}) }
