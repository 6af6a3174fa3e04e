package main

import "syscall"

// dieWithParent lets a test's nodes end with it, however it ends.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
