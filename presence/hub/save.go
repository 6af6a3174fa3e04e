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
//	presence/active/TEAM/PAGE   bits of PAGE 1 · (user 32 · last active in ms 8) by user; PAGE is that many first bits of the user id
//
// Settings are saved at once. When people were last active is saved with what has changed in saveEvery, and at the end, in pages
// of about pageRows people, so that many changes cost few writes.
const (
	usersKey  = "presence/users"
	saveEvery = 10 * time.Minute
	pageRows  = 512
	// Who is online is active now, which would make every page another one each time; a quarter of an hour is exact enough after a crash.
	activeGrain = 15 * time.Minute
)

func settingKey(u board.UserID) string { return "presence/set/" + u.String() }

func activeKey(t board.TeamID, page int) string {
	return fmt.Sprintf("presence/active/%s/%d", t, page)
}

// saver is when to save, and what was saved.
type saver struct {
	due  time.Time
	sums map[string][8]byte // of pages on disk, by key
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
	h.mu.Lock()
	now := h.o.Now()
	switch {
	case h.mu.saver.due.IsZero() && !end:
		h.mu.saver.due = now.Add(saveEvery)
	case end || !now.Before(h.mu.saver.due):
		h.mu.saver.due = now.Add(saveEvery)
		for _, id := range sortedTeams(h.mu.teams) {
			pages = append(pages, h.pages(now, id, end)...)
		}
	}
	h.mu.Unlock()
	h.write(pages)
}

// pages of a team that differ from those on disk; h.mu is held.
func (h *Hub) pages(now time.Time, id board.TeamID, exact bool) (changed []page) {
	members := h.mu.table.Members(id)
	bits := 0
	for len(members)>>bits > pageRows && bits < 7 {
		bits++
	}
	grain := now
	if !exact {
		grain = now.Truncate(activeGrain)
	}
	values := make([][]byte, 1<<bits)
	for _, u := range members { // by user
		p, _ := h.mu.table.Person(id, u)
		at := p.LastActive
		if slices.ContainsFunc(p.Devices, func(d presence.PersonDevice) bool { return d.State == presence.Online }) {
			at = max(at, grain.UnixMilli())
		}
		if at > 0 {
			i := int(u[0]) >> (8 - bits)
			values[i] = binary.BigEndian.AppendUint64(append(values[i], u[:]...), uint64(at))
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
	return changed
}

func (h *Hub) write(pages []page) {
	if h.o.Save == nil {
		return
	}
	for _, p := range pages {
		if err := h.o.Save(p.key, p.value); err != nil {
			h.o.Log.Warn("couldn't save when people were last active; it is tried again later", "err", err)
			return
		}
		h.metrics.saved.Inc()
		h.mu.Lock()
		h.mu.saver.sums[p.key] = p.sum
		h.mu.Unlock()
	}
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
			h.mu.table.SetActive(id, board.UserID(rows[:32]), int64(binary.BigEndian.Uint64(rows[32:40])))
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
