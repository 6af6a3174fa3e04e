//go:build !linux

package main

import "syscall"

// dieWithParent is for Linux only; elsewhere a killed demo leaves its nodes running.
func dieWithParent() *syscall.SysProcAttr { return nil }
