package p2p

import (
	"context"
	"errors"
	"log/slog"

	"weft/board"
	"weft/store"
)

// settings are the few small things that the mesh keeps over restarts: ports, peers' addresses, who was asked to let
// this node in. Losing one costs a detour, never data, so failures are logged only.
type settings struct {
	store *store.Store
	log   *slog.Logger

	changed func() // nil: nobody wants to know
}

const settingsPrefix = "p2p/"

func (s *settings) get(key string) ([]byte, bool) {
	b, err := s.store.GetKV(settingsPrefix + key)
	if err != nil && !errors.Is(err, board.ErrNotFound) && !errors.Is(err, store.ErrClosed) {
		s.log.Warn("couldn't read a setting", "key", key, "err", err)
	}
	return b, len(b) > 0 && err == nil
}

func (s *settings) set(key string, value []byte) {
	err := s.store.SetKV(context.Background(), settingsPrefix+key, value)
	if err != nil && !errors.Is(err, store.ErrClosed) {
		s.log.Warn("couldn't keep a setting", "key", key, "err", err)
	}
	if s.changed != nil {
		s.changed()
	}
}

func (s *settings) delete(key string) {
	err := s.store.DeleteKV(context.Background(), settingsPrefix+key)
	if err != nil && !errors.Is(err, store.ErrClosed) {
		s.log.Warn("couldn't drop a setting", "key", key, "err", err)
	}
}

// scan calls f for each setting whose key has the prefix. f must not use settings.
func (s *settings) scan(prefix string, f func(key string, value []byte)) {
	err := s.store.ScanKV(settingsPrefix+prefix, func(key string, value []byte) error {
		f(key[len(settingsPrefix):], value)
		return nil
	})
	if err != nil {
		s.log.Warn("couldn't read settings", "prefix", prefix, "err", err)
	}
}
