package main

import "syscall"

// dieWithParent lets the nodes end with the demo, even when it is killed.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
