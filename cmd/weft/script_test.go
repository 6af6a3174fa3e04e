package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts runs the conversations in testdata: real processes, driven through the command line as people would.
// Commands beside testscript's own:
//
//	start NAME [ARGS]         weft run in the folder $WORK/NAME, and wait until it answers
//	kill9 NAME                kill -9
//	pause NAME, resume NAME   it stands still (SIGSTOP), or goes on (SIGCONT)
//	end NAME                  end it in order; it must end with status 0 within 5 s
//	logged NAME PATTERN       what weft run wrote matches
//	at NAME ARGS              weft --dir NAME ARGS; its output goes where stdout looks
//	full NAME ARGS            the same with standard output on a full disk (Linux)
//	until PATTERN NAME ARGS   the same again and again, until the output matches
//	usage PATTERN ARGS        weft ARGS is wrong usage: status 2, nothing on stdout, stderr matches
//	shows FILE PATTERN        wait until the file matches
//	newer NAME                a later version of weft has written the store of this (stopped) node
//	taken VAR                 a TCP port that somebody listens on
//	set VAR NAME FIELD ARGS   the same with --json; the field of the first object goes into the variable
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			n := &scriptNodes{byName: map[string]*process{}}
			env.Values[nodesKey{}] = n
			env.Defer(n.killAll)
			env.Setenv("XDG_DATA_HOME", filepath.Join(env.WorkDir, "data"))
			env.Setenv("NO_COLOR", "1")
			env.Setenv("TZ", "UTC")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"start": scriptStart, "kill9": scriptKill, "pause": scriptPause, "resume": scriptResume, "end": scriptStop, "logged": scriptLogged,
			"at": scriptAt, "full": scriptFull, "until": scriptUntil, "set": scriptSet, "bytes": scriptBytes, "same": scriptSame,
			"taken": scriptTaken, "usage": scriptUsage, "newer": scriptNewer, "shows": scriptShows,
		},
	})
}

type nodesKey struct{}

// scriptNodes are the nodes of one script.
type scriptNodes struct {
	mu     sync.Mutex
	byName map[string]*process // guarded by mu
}

func nodesOf(ts *testscript.TestScript) *scriptNodes { return ts.Value(nodesKey{}).(*scriptNodes) }

func (n *scriptNodes) get(ts *testscript.TestScript, name string) *process {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.byName[name]
	if p == nil {
		ts.Fatalf("node %s was not started", name)
	}
	return p
}

func (n *scriptNodes) killAll() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range n.byName {
		p.kill()
	}
}

// scriptEnv is the script's environment for processes.
func scriptEnv(ts *testscript.TestScript) []string {
	env := os.Environ()
	for _, name := range []string{"HOME", "XDG_DATA_HOME", "NO_COLOR", "TZ", "WEFT_DIR", "WEFT_LOG_FORMAT", "PATH", "TMPDIR"} {
		env = append(env, name+"="+ts.Getenv(name))
	}
	return env
}

func scriptStart(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 1 {
		ts.Fatalf("usage: start NAME [ARGS]")
	}
	p, err := launch(ts.MkAbs(args[0]), scriptEnv(ts), args[1:]...)
	ts.Check(err)
	err = p.ready(context.Background())
	switch {
	case neg && err == nil:
		p.kill()
		ts.Fatalf("weft run started")
	case neg:
		fmt.Fprint(ts.Stderr(), p.log())
		return
	case err != nil:
		p.kill()
		ts.Fatalf("%v", err)
	}
	n := nodesOf(ts)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.byName[args[0]] = p
}

func scriptKill(ts *testscript.TestScript, neg bool, args []string) {
	nodesOf(ts).get(ts, args[0]).kill()
}

func scriptPause(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(nodesOf(ts).get(ts, args[0]).cmd.Process.Signal(syscall.SIGSTOP))
}

func scriptResume(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(nodesOf(ts).get(ts, args[0]).cmd.Process.Signal(syscall.SIGCONT))
}

func scriptStop(ts *testscript.TestScript, neg bool, args []string) {
	p := nodesOf(ts).get(ts, args[0])
	began := time.Now()
	if err := p.stop(); err != nil {
		ts.Fatalf("%s didn't stop in order: %v\n%s", args[0], err, p.log())
	}
	ts.Logf("stopped within %s", time.Since(began).Round(time.Millisecond))
}

func scriptLogged(ts *testscript.TestScript, neg bool, args []string) {
	re, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	// What is wanted may come a moment after the node answers.
	for end := time.Now().Add(patience); ; <-time.After(20 * time.Millisecond) {
		log := nodesOf(ts).get(ts, args[0]).log()
		switch {
		case re.MatchString(log) != neg:
			return
		case neg || time.Now().After(end):
			ts.Fatalf("log of %s (match wanted: %v):\n%s", args[0], !neg, log)
		}
	}
}

// weftAt runs one command line at a node.
func weftAt(ts *testscript.TestScript, name string, args []string) (stdout, stderr string, err error) {
	var out, errs strings.Builder
	cmd := exec.Command("weft", append([]string{"--dir", ts.MkAbs(name)}, args...)...)
	cmd.Env, cmd.Dir = scriptEnv(ts), ts.MkAbs(".")
	cmd.Stdout, cmd.Stderr = &out, &errs
	if file, rest, ok := fromFile(args); ok {
		f, err := os.Open(ts.MkAbs(file))
		ts.Check(err)
		defer f.Close()
		cmd.Stdin = f
		cmd.Args = append([]string{"weft", "--dir", ts.MkAbs(name)}, rest...)
	}
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// fromFile takes "< FILE" off the end.
func fromFile(args []string) (file string, rest []string, ok bool) {
	if n := len(args); n > 2 && args[n-2] == "<" {
		return args[n-1], args[:n-2], true
	}
	return "", args, false
}

func scriptAt(ts *testscript.TestScript, neg bool, args []string) {
	stdout, stderr, err := weftAt(ts, args[0], args[1:])
	fmt.Fprint(ts.Stdout(), stdout)
	fmt.Fprint(ts.Stderr(), stderr)
	switch {
	case err == nil && neg:
		ts.Fatalf("weft %q succeeded:\n%s", args[1:], stdout)
	case err != nil && !neg:
		ts.Fatalf("weft %q: %v\n%s", args[1:], err, stderr)
	}
}

// scriptFull wants status 1 for output that doesn't arrive.
func scriptFull(ts *testscript.TestScript, neg bool, args []string) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	ts.Check(err)
	defer full.Close()
	cmd := exec.Command("weft", append([]string{"--dir", ts.MkAbs(args[0])}, args[1:]...)...)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = scriptEnv(ts), ts.MkAbs("."), full, ts.Stderr()
	err = cmd.Run()
	if cmd.ProcessState == nil || (cmd.ProcessState.ExitCode() == exitRefused) != neg {
		ts.Fatalf("weft %q: %v", args[1:], err)
	}
}

func scriptUntil(ts *testscript.TestScript, neg bool, args []string) {
	re, err := regexp.Compile("(?ms)" + args[0])
	ts.Check(err)
	var stdout, stderr string
	for end := time.Now().Add(patience); time.Now().Before(end); <-time.After(50 * time.Millisecond) {
		stdout, stderr, err = weftAt(ts, args[1], args[2:])
		if re.MatchString(stdout) {
			fmt.Fprint(ts.Stdout(), stdout)
			return
		}
	}
	ts.Fatalf("weft %q never matched %s: %v\n%s%s", args[2:], args[0], err, stdout, stderr)
}

func scriptSet(ts *testscript.TestScript, neg bool, args []string) {
	stdout, stderr, err := weftAt(ts, args[1], append(args[3:], "--json"))
	if err != nil {
		ts.Fatalf("weft %q: %v\n%s", args[3:], err, stderr)
	}
	var object map[string]json.RawMessage
	line, _, _ := strings.Cut(stdout, "\n")
	ts.Check(json.Unmarshal([]byte(line), &object))
	raw, ok := object[args[2]]
	if !ok {
		ts.Fatalf("no field %q in %s", args[2], line)
	}
	var text string
	if json.Unmarshal(raw, &text) != nil {
		text = string(raw)
	}
	ts.Setenv(args[0], text)
}

// scriptBytes writes COUNT times TEXT into FILE: bytes FILE COUNT TEXT. \xNN stands for bytes.
func scriptBytes(ts *testscript.TestScript, neg bool, args []string) {
	var n int
	_, err := fmt.Sscan(args[1], &n)
	ts.Check(err)
	text, err := unquote(args[2])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Repeat(text, n)), 0o600))
}

func unquote(s string) (string, error) {
	var out string
	_, err := fmt.Sscanf(`"`+s+`"`, "%q", &out)
	return out, err
}

// scriptSame compares two variables: same A B.
func scriptSame(ts *testscript.TestScript, neg bool, args []string) {
	if (args[0] == args[1]) == neg {
		ts.Fatalf("%q and %q (same wanted: %v)", args[0], args[1], !neg)
	}
}

// scriptTaken sets VAR to a TCP port of 127.0.0.1 that is in use until the script ends.
func scriptTaken(ts *testscript.TestScript, neg bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { l.Close() })
	ts.Setenv(args[0], strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
}

// scriptUsage wants status 2.
func scriptUsage(ts *testscript.TestScript, neg bool, args []string) {
	var out, errs strings.Builder
	cmd := exec.Command("weft", args[1:]...)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = scriptEnv(ts), ts.MkAbs("."), &out, &errs
	err := cmd.Run()
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != exitUsage || out.Len() > 0 {
		ts.Fatalf("weft %q: %v, printed %q, said %q", args[1:], err, out.String(), errs.String())
	}
	if !regexp.MustCompile(args[0]).MatchString(errs.String()) || !strings.Contains(errs.String(), "--help") {
		ts.Fatalf("weft %q said %q", args[1:], errs.String())
	}
}

// scriptNewer raises the format number in a store.
func scriptNewer(ts *testscript.TestScript, neg bool, args []string) {
	dir := filepath.Join(ts.MkAbs(args[0]), "store")
	manifest, err := os.ReadFile(filepath.Join(dir, "MANIFEST"))
	ts.Check(err)
	magic := binary.BigEndian.Uint16(manifest[4:]) // behind Badger's own four letters
	db, err := badger.OpenManaged(badger.DefaultOptions(dir).WithLogger(nil).WithExternalMagic(magic))
	ts.Check(err)
	txn := db.NewTransactionAt(math.MaxUint64, true)
	key, value := []byte("sformat"), binary.BigEndian.AppendUint32(nil, 999)
	sum := crc32.Checksum(append(slices.Clone(key), value...), crc32.MakeTable(crc32.Castagnoli))
	ts.Check(txn.Set(key, binary.BigEndian.AppendUint32(value, sum)))
	ts.Check(txn.CommitAt(db.MaxVersion()+1, nil))
	ts.Check(db.Close())
}

// scriptShows waits until a file that somebody writes matches.
func scriptShows(ts *testscript.TestScript, neg bool, args []string) {
	re := regexp.MustCompile("(?s)" + args[1])
	var b []byte
	for end := time.Now().Add(patience); time.Now().Before(end); <-time.After(20 * time.Millisecond) {
		var err error
		if b, err = os.ReadFile(ts.MkAbs(args[0])); err == nil && re.Match(b) {
			return
		}
	}
	ts.Fatalf("%s never matched %s:\n%s", args[0], args[1], b)
}
