package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// failing is a task that spoils its group.
type failing struct{ done chan error }

func (failing) prepare(*group) error { return errAbort }
func (t failing) finish(err error)   { t.done <- err }

// TestAStoreThatCannotBeOpenedAgainRefusesTheRestOfAGroup: a group is thrown away, the first of its tasks fails in the
// commit, and the database can't be opened again: the next one has none to write to.
func TestAStoreThatCannotBeOpenedAgainRefusesTheRestOfAGroup(t *testing.T) {
	dying := false
	var f *fixture
	f = newTeamNode(t, 1, func(o *Options) {
		o.fault = func(point string) error {
			if dying && point == "commit" {
				manifest := filepath.Join(f.dir, "MANIFEST")
				return errors.Join(os.Rename(manifest, manifest+".gone"), os.Mkdir(manifest, 0o700), errors.New("the disk says no"))
			}
			return nil
		}
	})
	held, goOn := make(chan struct{}), make(chan struct{})
	f.s.queue.first <- probeTask{func() { close(held); <-goOn }}
	<-held
	dying = true
	put := &settingTask{"k", []byte("v"), make(chan error, 1)}
	spoils, last := failing{make(chan error, 1)}, &settingTask{"l", []byte("v"), make(chan error, 1)}
	for _, task := range []task{put, spoils, last} {
		f.s.queue.first <- task
	}
	close(goOn)
	if err := <-put.done; !errors.Is(err, ErrOutcomeUnknown) {
		t.Errorf("the one whose commit failed: %v", err)
	}
	for _, done := range []chan error{spoils.done, last.done} {
		if err := <-done; !errors.Is(err, ErrOutcomeUnknown) {
			t.Errorf("one after it: %v", err)
		}
	}
	if _, err := f.s.Append(context.Background(), []Draft{f.draft("x", "x")}); !errors.Is(err, ErrOutcomeUnknown) {
		t.Errorf("a post: %v", err)
	}
}

// TestADiskThatTakesNothingMoreIsAnswered: a commit fails, and what is in memory can't be written either, which Badger goes on
// trying. Whoever posts is told, and so is who comes later.
func TestADiskThatTakesNothingMoreIsAnswered(t *testing.T) {
	dying := false
	var f *fixture
	gone := ""
	closed := make(chan struct{})
	f = newTeamNode(t, 1, func(o *Options) {
		o.closePatience = 100 * time.Millisecond
		o.fault = func(point string) error {
			if point == "closed" {
				close(closed)
			}
			if dying && point == "commit" {
				return errors.Join(os.Rename(f.dir, gone), os.WriteFile(f.dir, nil, 0o600), errors.New("the disk says no"))
			}
			return nil
		}
	})
	gone = f.dir + ".gone"
	f.post("before")
	dying = true
	for _, id := range []string{"first", "second"} {
		if _, err := f.s.Append(context.Background(), []Draft{f.draft(id, id)}); !errors.Is(err, ErrOutcomeUnknown) {
			t.Errorf("the %s post: %v", id, err)
		}
	}
	if f.s.Status().Failed == "" {
		t.Error("the store says that it is well")
	}
	if err := errors.Join(os.Remove(f.dir), os.Rename(gone, f.dir)); err != nil { // so that what goes on trying comes to its end
		t.Fatal(err)
	}
	<-closed // its files are removed with the test
}
