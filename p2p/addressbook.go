package p2p

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"weft/board"
)

// addressBook is a small file beside the store with what this node needs to find its teams again when the store has lost
// them: the mesh's settings (ports, teammates' addresses) and who the teams' nodes are. The store's settings are what
// counts; the file is read where they have nothing.
type addressBook struct {
	path string // empty: no file
	log  *slog.Logger
	kv   *settings
	wake chan struct{} // capacity one: something has changed

	mu      sync.Mutex
	teams   map[string][]string // text of team → peer ids of its nodes. Guarded by mu
	written []byte              // used by one goroutine at a time: New's, then run's
}

// bookFile is the file's form.
type bookFile struct {
	Teams    map[string][]string `json:"teams"`
	Settings map[string][]byte   `json:"settings"`
}

const (
	maxBook    = 4 << 20 // bytes of the file's settings
	maxTellers = 16      // nodes of one lost team that are asked for it
	bookEvery  = 2 * time.Second
)

// bookParts are the settings that are copied, the most useful first.
var bookParts = []string{"port", "static/", "addrs/", "record/"}

// openBook reads the file and gives the store's settings back what they lack.
func openBook(path string, kv *settings, log *slog.Logger) *addressBook {
	b := &addressBook{path: path, log: log, kv: kv, wake: make(chan struct{}, 1), teams: map[string][]string{}}
	if path == "" {
		return b
	}
	kv.changed = b.nudge
	content, err := readBook(path)
	if err == nil {
		err = b.take(content)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Warn("couldn't read the address book; it is written anew", "path", path, "err", err)
	}
	return b
}

func readBook(path string) ([]byte, error) {
	st, err := os.Stat(path)
	if err == nil && st.Size() > 4*maxBook {
		return nil, fmt.Errorf("it has %d bytes: %w", st.Size(), board.ErrTooLarge)
	}
	if err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

func (b *addressBook) take(content []byte) error {
	var f bookFile
	if err := json.Unmarshal(content, &f); err != nil {
		return fmt.Errorf("couldn't decode: %w", err)
	}
	b.written = content
	if f.Teams != nil {
		b.teams = f.Teams
	}
	for key, value := range f.Settings {
		ours := slices.ContainsFunc(bookParts, func(p string) bool { return strings.HasPrefix(key, p) })
		if _, has := b.kv.get(key); ours && !has {
			b.kv.set(key, value)
		}
	}
	return nil
}

func (b *addressBook) nudge() { nudge(b.wake) }

// nodes are those that the book names for a team, at most maxTellers.
func (b *addressBook) nodes(t board.TeamID) (out []board.NodeID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, text := range b.teams[t.String()] {
		id, err := peer.Decode(text)
		if err != nil {
			continue
		}
		if n, err := NodeIDOf(id); err == nil && len(out) < maxTellers {
			out = append(out, n)
		}
	}
	return out
}

// note takes the teams' nodes from a view. What is known of a team that the store has lost stays.
func (b *addressBook) note(v *view, self board.NodeID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for text := range b.teams {
		if t, err := board.ParseTeamID(text); err != nil || v.teams[t] == nil {
			delete(b.teams, text)
		}
	}
	for t, st := range v.teams {
		if !st.Known() {
			continue
		}
		var ids []string
		for _, n := range st.Nodes() {
			if id, err := PeerIDOf(n); err == nil && n != self {
				ids = append(ids, id.String())
			}
		}
		b.teams[t.String()] = ids
	}
}

// run writes the file when something has changed, until ctx ends.
func (b *addressBook) run(ctx context.Context, m *Mesh) error {
	if b.path == "" {
		return nil
	}
	changed, stop := m.who.changed.watch()
	defer stop()
	b.nudge()
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-changed:
		case <-b.wake:
		case <-ctx.Done():
			return nil
		}
		if v := m.who.view.Load(); v.teams != nil { // else the store wasn't looked at yet
			b.note(v, m.self)
			if err := b.write(); err != nil {
				b.log.Warn("couldn't keep teammates' addresses beside the store", "path", b.path, "err", err)
			}
		}
		pause.Reset(bookEvery)
		select {
		case <-pause.C:
		case <-ctx.Done():
			b.write() // what came during the pause
			return nil
		}
	}
}

// write writes the file atomically where it would be another one.
func (b *addressBook) write() error {
	f := bookFile{Settings: map[string][]byte{}}
	room := maxBook
	for _, part := range bookParts {
		b.kv.scan(part, func(key string, value []byte) {
			if room -= len(key) + 2*len(value); room > 0 {
				f.Settings[key] = value
			}
		})
	}
	b.mu.Lock()
	f.Teams = b.teams
	content, err := json.Marshal(f)
	b.mu.Unlock()
	if err != nil || bytes.Equal(content, b.written) {
		return err
	}
	if err := replaceFile(b.path, content); err != nil {
		return err
	}
	b.written = content
	return nil
}

func replaceFile(path string, content []byte) error {
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// findAgain lets the nodes that the book names tell this one what a team is that the store has lost. Called by the loop.
func (l *loop) findAgain(t board.TeamID) {
	for _, n := range l.m.book.nodes(t) {
		l.m.who.remember(n, t)
	}
}
