package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// flagError puts into plain words that the value of a flag doesn't fit.
func flagError(_ *cobra.Command, err error) error {
	var bad *pflag.InvalidValueError
	if !errors.As(err, &bad) {
		return err
	}
	name, value := bad.GetFlag().Name, bad.GetValue()
	var number *strconv.NumError
	switch kind := bad.GetFlag().Value.Type(); {
	case kind == "duration":
		return fmt.Errorf("--%s: %q isn't a duration: write it like 500ms, 5s or 1m30s", name, value)
	case kind == "bool":
		return fmt.Errorf("--%s: %q is neither true nor false", name, value)
	case errors.As(err, &number) && errors.Is(number.Err, strconv.ErrRange):
		return fmt.Errorf("--%s: %s is too large", name, value)
	case errors.As(err, &number):
		return fmt.Errorf("--%s: %q isn't a whole number, 0 or more", name, value)
	}
	return fmt.Errorf("--%s: %w", name, bad.Unwrap())
}

// maxMsgID is the longest client_msg_id, in bytes.
const maxMsgID = 64

// oneOf wants the value of a flag to be one of a few.
func oneOf(flag, value string, known ...string) error {
	for _, k := range known {
		if value == k {
			return nil
		}
	}
	return wrongUsage("--%s: %q: use %s", flag, value, strings.Join(known, " or "))
}

// check says what is wrong with the flags of weft post. Waiting for read is understood, but the node has to refuse it.
func (f *postFlags) check() error {
	switch {
	case len(f.id) > maxMsgID:
		return wrongUsage("--id: %d bytes are too many: at most %d", len(f.id), maxMsgID)
	case f.timeout < 0:
		return wrongUsage("--timeout: %s is in the past", f.timeout)
	case f.wait == "read" || f.wait == "delivered":
		return nil
	}
	return oneOf("wait", f.wait, "stored", "replicated")
}
