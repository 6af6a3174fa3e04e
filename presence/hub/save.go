package hub

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/presence"
	"weft/team"
)

// What outlasts the daemon, by key:
//
//	presence/users              users who have set something, 32 bytes each
//	presence/set/USER           what they set: length 2 · OwnSetting, for each
//	presence/active/TEAM/PAGE   bits of PAGE 1 · (user 32 · last active in ms, and thereBit, 8) by user; PAGE is that many first bits
//	                            of the user id
//	presence/alive              when pages were looked at last, in ms 8
//
// Settings are saved at once. When people were last active is saved with what has changed in saveEvery, and at the end, in pages
// of about pageRows people, so that many changes cost few writes. Who is online is active now, which would make every page another
// one each time; of them it is noted that they are, and after a crash they were last active when the pages were looked at last.
const (
	usersKey  = "presence/users"
	aliveKey  = "presence/alive"
	saveEvery = time.Minute
	pageRows  = 512
	thereBit  = 1 << 63
)

func settingKey(u board.UserID) string { return "presence/set/" + u.String() }

func activeKey(t board.TeamID, page int) string {
	return fmt.Sprintf("presence/active/%s/%d", t, page)
}

// saver is when to save, and what was saved.
type saver struct {
	due   time.Time
	sums  map[string][8]byte // of pages on disk, by key
	alive int64              // when the daemon before this one looked at them last, Unix milliseconds
}

func newSaver() saver { return saver{sums: map[string][8]byte{}} }

type page struct {
	key   string
	value []byte
	sum   [8]byte
}

// save saves when people were last active, if it is time or at the end.
func (h *Hub) save(end bool) {
	h.saveMu.Lock()
	defer h.saveMu.Unlock()
	var pages []page
	there := false
	h.mu.Lock()
	now := h.o.Now()
	switch {
	case h.mu.saver.due.IsZero() && !end:
		h.mu.saver.due = now.Add(saveEvery)
	case end || !now.Before(h.mu.saver.due):
		h.mu.saver.due = now.Add(saveEvery)
		for _, id := range sortedTeams(h.mu.teams) {
			some, anybody := h.pages(now, id, end)
			pages, there = append(pages, some...), there || anybody
		}
	}
	h.mu.Unlock()
	if h.write(pages) && there {
		h.write([]page{{key: aliveKey, value: binary.BigEndian.AppendUint64(nil, uint64(now.UnixMilli()))}})
	}
}

// pages of a team that differ from those on disk, and whether anybody is online; h.mu is held. At the end that nobody is any more.
func (h *Hub) pages(now time.Time, id board.TeamID, end bool) (changed []page, there bool) {
	members := h.mu.table.Members(id)
	bits := 0
	for len(members)>>bits > pageRows && bits < 7 {
		bits++
	}
	values := make([][]byte, 1<<bits)
	for _, u := range members { // by user
		p, _ := h.mu.table.Person(id, u)
		at := uint64(p.LastActive)
		if slices.ContainsFunc(p.Devices, func(d presence.PersonDevice) bool { return d.State == presence.Online }) {
			if end {
				at = max(at, uint64(now.UnixMilli()))
			} else {
				at, there = at|thereBit, true
			}
		}
		if at > 0 {
			i := int(u[0]) >> (8 - bits)
			values[i] = binary.BigEndian.AppendUint64(append(values[i], u[:]...), at)
		}
	}
	for i, rows := range values {
		if i > 0 && len(rows) == 0 && h.mu.saver.sums[activeKey(id, i)] == ([8]byte{}) || len(values) == 1 && len(rows) == 0 {
			continue
		}
		p := page{key: activeKey(id, i), value: append([]byte{byte(bits)}, rows...)}
		s := sha256.Sum256(p.value)
		copy(p.sum[:], s[:])
		if h.mu.saver.sums[p.key] != p.sum {
			changed = append(changed, p)
		}
	}
	return changed, there
}

// write says whether all of it was saved.
func (h *Hub) write(pages []page) bool {
	if h.o.Save == nil {
		return false
	}
	for _, p := range pages {
		if err := h.o.Save(p.key, p.value); err != nil {
			h.o.Log.Warn("couldn't save when people were last active; it is tried again later", "err", err)
			return false
		}
		h.metrics.saved.Inc()
		h.mu.Lock()
		h.mu.saver.sums[p.key] = p.sum
		h.mu.Unlock()
	}
	return true
}

// loadTeam reads when people of a team were last active; h.mu is held.
func (h *Hub) loadTeam(id board.TeamID) {
	if h.o.Load == nil {
		return
	}
	for i, n := 0, 1; i < n; i++ {
		value, err := h.o.Load(activeKey(id, i))
		if err != nil {
			h.o.Log.Warn("couldn't load when people were last active", "team", id.String(), "err", err)
			return
		}
		if len(value) == 0 || (len(value)-1)%40 != 0 || value[0] > 7 {
			continue
		}
		n = 1 << value[0]
		s := sha256.Sum256(value)
		h.mu.saver.sums[activeKey(id, i)] = [8]byte(s[:8])
		for rows := value[1:]; len(rows) > 0; rows = rows[40:] {
			at := binary.BigEndian.Uint64(rows[32:40])
			if at&thereBit != 0 {
				at = max(at&^thereBit, uint64(h.mu.saver.alive))
			}
			h.mu.table.SetActive(id, board.UserID(rows[:32]), int64(min(at, uint64(h.o.Now().UnixMilli()))))
		}
	}
}

// saveSettings saves what a user has set.
func (h *Hub) saveSettings(u board.UserID) error {
	h.saveMu.Lock()
	defer h.saveMu.Unlock()
	if h.o.Save == nil {
		return nil
	}
	h.mu.Lock()
	all := h.mu.table.Settings(u)
	h.mu.Unlock()
	var value []byte
	for _, x := range all {
		b, err := proto.Marshal(x.Wire())
		if err != nil {
			return fmt.Errorf("couldn't save the setting: %w", err)
		}
		value = append(binary.BigEndian.AppendUint16(value, uint16(len(b))), b...)
	}
	err := h.o.Save(settingKey(u), value)
	if err == nil {
		var users []byte
		if users, err = h.loadUsers(); err == nil && !hasUser(users, u) {
			err = h.o.Save(usersKey, append(users, u[:]...))
		}
	}
	if err != nil {
		return fmt.Errorf("couldn't save the setting; it holds until the daemon stops: %w", err)
	}
	return nil
}

func (h *Hub) loadUsers() ([]byte, error) {
	if h.o.Load == nil {
		return nil, nil
	}
	users, err := h.o.Load(usersKey)
	return slices.Clone(users[:len(users)/32*32]), err
}

func hasUser(users []byte, u board.UserID) bool {
	for ; len(users) >= 32; users = users[32:] {
		if bytes.Equal(users[:32], u[:]) {
			return true
		}
	}
	return false
}

// loadSettings is for New.
func (h *Hub) loadSettings() error {
	users, err := h.loadUsers()
	if err != nil {
		return err
	}
	if h.o.Load != nil {
		alive, err := h.o.Load(aliveKey)
		if err != nil {
			return err
		}
		if len(alive) == 8 {
			h.mu.saver.alive = int64(binary.BigEndian.Uint64(alive))
		}
	}
	for ; len(users) >= 32; users = users[32:] {
		value, err := h.o.Load(settingKey(board.UserID(users[:32])))
		if err != nil {
			return err
		}
		for len(value) >= 2 {
			n := int(binary.BigEndian.Uint16(value))
			if value = value[2:]; n > len(value) {
				break
			}
			m := &weftv1.OwnSetting{}
			if err := proto.Unmarshal(value[:n], m); err == nil {
				if x, err := presence.ParseSetting(m); err == nil {
					h.mu.table.Restore(h.o.Now(), x)
				}
			}
			value = value[n:]
		}
	}
	return nil
}

func sortedTeams(m map[board.TeamID]*team.State) []board.TeamID {
	return slices.SortedFunc(maps.Keys(m), func(a, b board.TeamID) int { return bytes.Compare(a[:], b[:]) })
}
