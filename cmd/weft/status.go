package main

import (
	"runtime"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	weftv1 "weft/api/weft/v1"
)

// version is set by the build: -ldflags "-X main.version=…". Other builds have what Go notes down by itself.
var version = ""

func init() {
	if version == "" {
		info, _ := debug.ReadBuildInfo()
		version = builtFrom(info)
	}
}

// builtFrom is the version of the module, or the revision it was built from; "unknown" where neither was noted.
func builtFrom(info *debug.BuildInfo) string {
	if info == nil {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	noted := map[string]string{}
	for _, s := range info.Settings {
		noted[s.Key] = s.Value
	}
	revision := noted["vcs.revision"]
	if revision == "" {
		return "unknown"
	}
	if noted["vcs.modified"] == "true" {
		return revision[:min(len(revision), 12)] + "-dirty"
	}
	return revision[:min(len(revision), 12)]
}

type statusOut struct {
	NodeID          string     `json:"node_id"`
	UserID          string     `json:"user_id"`
	DeviceID        string     `json:"device_id"`
	Name            string     `json:"name"`
	Listen          []string   `json:"listen"`
	Edge            string     `json:"edge"`
	Web             string     `json:"web"`
	Socket          string     `json:"socket"`
	Peers           uint32     `json:"peers"`
	Version         string     `json:"version"`
	Dir             string     `json:"dir"`
	StoreID         string     `json:"store_id"`
	StorageFull     bool       `json:"storage_full"`
	FetchingTeams   []string   `json:"fetching_teams,omitempty"`
	RecoveryKeyKept bool       `json:"recovery_key_kept"`
	UptimeMs        uint64     `json:"uptime_ms"`
	Alarms          []alarmOut `json:"alarms"`
}

// alarmOut is something that a person should look at.
type alarmOut struct {
	Team   string `json:"team"`
	TeamID string `json:"team_id"`
	Kind   string `json:"kind"`
	Words  string `json:"words"`
	Advice string `json:"advice"`
}

func alarmsOf(alarms []*weftv1.Alarm) []alarmOut {
	out := make([]alarmOut, len(alarms))
	for i, a := range alarms {
		out[i] = alarmOut{a.Team, a.TeamId, a.Kind, a.Words, a.Advice}
	}
	return out
}

func statusOf(i *weftv1.GetInfoResponse) statusOut {
	return statusOut{
		NodeID: i.NodeId, UserID: i.UserId, DeviceID: i.DeviceId, Name: i.Name, Listen: list(i.Listen), Edge: i.Edge, Web: i.Web,
		Socket: i.Socket, Peers: i.Peers, Version: i.Version, Dir: i.Dir, StoreID: i.StoreId, StorageFull: i.StorageFull, FetchingTeams: i.FetchingTeams,
		RecoveryKeyKept: i.RecoveryKeyKept, UptimeMs: i.UptimeMs, Alarms: alarmsOf(i.Alarms),
	}
}

// list makes an empty list of none, which JSON would write as null.
func list(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Who this node is, where it listens, how many peers it has",
		Example: `  weft status
  weft status --json | jq -r .listen[]`,
		Args: exactly(),
		RunE: action(func(cmd *cobra.Command, args []string) error {
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			info, err := call(cmd.Context(), c.Nodes.GetInfo, &weftv1.GetInfoRequest{})
			if err != nil {
				return err
			}
			return a.print(statusOf(info), func() { a.sayStatus(info) })
		}),
	}
}

func (a *app) sayStatus(i *weftv1.GetInfoResponse) {
	a.say("%s  up %s, %s", a.paint(bold, oneLine(i.Name)), wall(time.Duration(i.UptimeMs)*time.Millisecond), plural(uint64(i.Peers), "peer", "peers"))
	a.say("node    %s", i.NodeId)
	a.say("user    %s", i.UserId)
	for _, addr := range i.Listen {
		a.say("listen  %s", oneLine(addr))
	}
	a.say("socket  %s", i.Socket)
	a.say("folder  %s", i.Dir)
	a.say("version %s", i.Version)
	if i.StorageFull {
		a.say("The disk is nearly full: posts are refused until there is space (weft doctor).")
	}
	for _, t := range i.FetchingTeams {
		a.say("Team %s is being fetched from teammates: what it is and says comes back with them (weft peers).", t)
	}
	if i.RecoveryKeyKept {
		a.say("The recovery key is still on this machine: weft device recovery-key shows it once, for paper, and erases it.")
	}
	for _, al := range i.Alarms {
		a.say("team %s: %s", oneLine(al.Team), oneLine(al.Words))
		if al.Advice != "" {
			a.say("  %s", oneLine(al.Advice))
		}
	}
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "The version of this program",
		Args:  exactly(),
		RunE: action(func(cmd *cobra.Command, args []string) error {
			out := struct {
				Version string `json:"version"`
				Go      string `json:"go"`
				System  string `json:"system"`
			}{version, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
			return a.print(out, func() { a.say("weft %s (%s, %s)", out.Version, out.Go, out.System) })
		}),
	}
}
