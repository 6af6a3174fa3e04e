package daemon

import (
	"context"
	"crypto/rand"
	"fmt"

	weftv1 "weft/api/weft/v1"
	"weft/presence/hub"
)

// Values of Config.Presence.
const (
	presenceOn  = "on"
	presenceOff = "off"
)

// newHub makes the place where the mesh and the API meet over presence, and, unless it is set otherwise, the daemon's own
// session in it. boot names this start, for the mesh too.
func (d *Daemon) newHub() (h *hub.Hub, boot [16]byte, err error) {
	if _, err := rand.Read(boot[:]); err != nil {
		return nil, boot, fmt.Errorf("couldn't get random bytes: %w", err)
	}
	h, err = hub.New(hub.Options{
		Self:       d.id.Node.Public(),
		Boot:       boot,
		Now:        d.cfg.Now,
		Clock:      d.store.Stamp,
		Log:        d.log.With("part", "presence"),
		Registerer: d.registry,
		Load:       d.store.GetKV,
		Save:       d.savePresence,
		Off:        d.cfg.Presence == presenceOff,
	})
	if err != nil {
		return nil, boot, fmt.Errorf("couldn't start presence: %w", err)
	}
	if d.cfg.PresenceSession && d.cfg.Presence != presenceOff {
		if _, err := h.AttachOwn(d.id.User.User, d.id.User.Device.Public(), "weft/"+d.cfg.Version); err != nil {
			return nil, boot, fmt.Errorf("couldn't start presence: %w", err)
		}
	}
	return h, boot, nil
}

// savePresence keeps one value of presence. It goes on while the node stops: when people were last active is saved then.
func (d *Daemon) savePresence(key string, value []byte) error {
	ctx := context.WithoutCancel(d.ctx)
	if value == nil {
		return d.store.DeleteKV(ctx, key)
	}
	return d.store.SetKV(ctx, key, value)
}

// checkPresence says whether this node shows its people.
func (d *Daemon) checkPresence() *weftv1.DoctorCheck {
	switch {
	case d.cfg.Presence == presenceOff:
		return check("presence", levelOK, "off: nobody hears that people of this node are there", "")
	case !d.cfg.PresenceSession:
		return check("presence", levelOK, "on; the daemon is no session of its user", "")
	}
	return check("presence", levelOK, "on", "")
}
