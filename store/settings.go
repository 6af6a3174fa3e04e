package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"weft/board"
)

// Bounds of one small setting.
const (
	maxSettingKey   = 256
	maxSettingValue = 64 << 10
)

// settingTask sets or removes a small setting.
type settingTask struct {
	key   string
	value []byte // nil: remove
	done  chan error
}

func (t *settingTask) prepare(g *group) error {
	var err error
	if t.value == nil {
		err = g.remove(settingKey(t.key))
	} else {
		err = g.put(settingKey(t.key), append(make([]byte, 0, len(t.value)+4), t.value...))
	}
	if err != nil {
		return errors.Join(errAbort, err)
	}
	return nil
}

func (t *settingTask) finish(err error) { t.done <- err }

// SetKV keeps a small setting of another package: a key of at most 256 bytes, a value of at most 64 KiB. It returns when
// it is on disk. Errors wrap board.ErrTooLarge, ErrStorageFull, ErrClosed or ErrOutcomeUnknown.
func (s *Store) SetKV(ctx context.Context, key string, value []byte) error {
	if err := s.writable(); err != nil {
		return err
	}
	if key == "" || len(key) > maxSettingKey || len(value) > maxSettingValue {
		return fmt.Errorf("couldn't keep setting %.32q of %d bytes: %w", key, len(value), board.ErrTooLarge)
	}
	if value == nil {
		value = []byte{}
	}
	t := &settingTask{key, value, make(chan error, 1)}
	return s.do(ctx, t, t.done)
}

// DeleteKV removes a setting; one that is not there is no error.
func (s *Store) DeleteKV(ctx context.Context, key string) error {
	t := &settingTask{key, nil, make(chan error, 1)}
	return s.do(ctx, t, t.done)
}

// GetKV reads a setting; nil: there is none. Errors wrap board.ErrDamaged.
func (s *Store) GetKV(key string) (value []byte, err error) {
	err = s.view(func(m *memory, txn *badger.Txn) (err error) {
		value, err = get(txn, settingKey(key))
		return s.damagedRead("setting", err)
	})
	return value, err
}

// ScanKV calls f for each setting whose key begins with prefix, by key, until f returns an error. Damaged ones are
// counted and left out. f may keep value.
func (s *Store) ScanKV(prefix string, f func(key string, value []byte) error) error {
	return s.view(func(m *memory, txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: settingKey(prefix)})
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			k := it.Item().KeyCopy(nil)
			v, err := it.Item().ValueCopy(nil)
			if err == nil {
				v, err = unseal(k, v)
			}
			if err != nil {
				s.noteValue("setting", k)
				continue
			}
			if err := f(string(bytes.TrimPrefix(k, []byte{tSetting})), v); err != nil {
				return err
			}
		}
		return nil
	})
}
