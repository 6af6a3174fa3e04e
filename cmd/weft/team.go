package main

import (
	"time"

	"github.com/spf13/cobra"

	weftv1 "weft/api/weft/v1"
	"weft/team"
)

type teamOut struct {
	TeamID  string `json:"team_id"`
	Name    string `json:"name"`
	Role    string `json:"role"`
	Members uint32 `json:"members"`
	Boards  uint32 `json:"boards"`
	Nodes   uint32 `json:"nodes"`
	State   string `json:"state"`
}

func teamOf(t *weftv1.Team) teamOut {
	return teamOut{t.GetTeamId(), t.GetName(), t.GetRole(), t.GetMembers(), t.GetBoards(), t.GetNodes(), t.GetState()}
}

func (a *app) teamCommand() *cobra.Command {
	return group("team", "Found teams, invite people, see who is there",
		`  weft team create crew
  weft team invite crew --uses 5 --expires 48h
  weft team members crew`,
		a.teamCreateCommand(), a.teamListCommand(), a.teamShowCommand(), a.teamInviteCommand(), a.teamMembersCommand())
}

func (a *app) teamCreateCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "create NAME",
		Short:   "Found a team that you own",
		Example: "  weft team create crew",
		Args:    exactly("NAME"),
		RunE: action(func(cmd *cobra.Command, args []string) error {
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			res, err := call(cmd.Context(), c.Teams.CreateTeam, &weftv1.CreateTeamRequest{Name: args[0]})
			if err != nil {
				return err
			}
			out := struct {
				TeamID  string `json:"team_id"`
				Name    string `json:"name"`
				General string `json:"general_board_id"`
			}{res.TeamId, args[0], res.GeneralBoardId}
			return a.print(out, func() {
				a.say("Founded team %s (%s).", oneLine(args[0]), res.TeamId)
				a.say("Next: weft team invite %s, or weft post %s \"hello\"", shellWord(args[0]), shellWord(args[0]))
			})
		}),
	}
}

func (a *app) teamListCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "The teams that this node takes part in",
		Example: "  weft team list --json | jq -r .name",
		Args:    exactly(),
		RunE: action(func(cmd *cobra.Command, args []string) error {
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			res, err := call(cmd.Context(), c.Teams.ListTeams, &weftv1.ListTeamsRequest{})
			if err != nil {
				return err
			}
			var teams []teamOut
			for _, t := range res.Teams {
				if t.State != "joining" { // not one of ours yet
					teams = append(teams, teamOf(t))
				}
			}
			return printEach(a, teams, "No teams yet: weft team create NAME, or weft join LINK", "TEAM\tROLE\tMEMBERS\tBOARDS\tNODES\tID", func(t teamOut) []any {
				return []any{t.Name, t.Role, t.Members, t.Boards, t.Nodes, t.TeamID}
			})
		}),
	}
}

type inviteOut struct {
	InviteID  string `json:"invite_id"`
	Role      string `json:"role"`
	Admitter  string `json:"admitter"`
	Quota     uint32 `json:"quota"`
	Used      uint32 `json:"used"`
	ExpiresMs uint64 `json:"expires_ms"`
}

type teamShowOut struct {
	teamOut
	JoinMode  string      `json:"join_mode"`
	Owners    []string    `json:"owners"`
	Admins    []string    `json:"admins"`
	NodeIDs   []string    `json:"node_ids"`
	BoardList []boardOut  `json:"board_list"`
	Invites   []inviteOut `json:"invites"`
}

func (a *app) teamShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "show TEAM",
		Short:             "One team: boards, nodes, open invites",
		Example:           "  weft team show crew",
		Args:              exactly("TEAM"),
		ValidArgsFunction: a.completeTeams,
		RunE: action(func(cmd *cobra.Command, args []string) error {
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			res, err := call(cmd.Context(), c.Teams.GetTeam, &weftv1.GetTeamRequest{Team: args[0]})
			if err != nil {
				return err
			}
			out := teamShowOut{teamOut: teamOf(res.Team), JoinMode: res.JoinMode, Owners: list(res.Owners), Admins: list(res.Admins),
				NodeIDs: list(res.NodeIds), BoardList: []boardOut{}, Invites: []inviteOut{}}
			for _, b := range res.Boards {
				out.BoardList = append(out.BoardList, boardOf(b))
			}
			for _, i := range res.Invites {
				out.Invites = append(out.Invites, inviteOut{i.InviteId, i.Role, i.Admitter, i.Quota, i.Used, i.ExpiresMs})
			}
			return a.print(out, func() { a.sayTeam(out) })
		}),
	}
}

func (a *app) sayTeam(t teamShowOut) {
	a.say("%s  you are %s; %s, %s", a.paint(bold, oneLine(t.Name)), t.Role, plural(uint64(t.Members), "member", "members"), plural(uint64(t.Nodes), "node", "nodes"))
	a.say("id      %s", t.TeamID)
	for _, b := range t.BoardList {
		a.say("board   %s  %s, %d unread", oneLine(b.Board), plural(b.Entries, "entry", "entries"), b.Unread)
	}
	for _, n := range t.NodeIDs {
		a.say("node    %s", n)
	}
	for _, i := range t.Invites {
		a.say("invite  %s…  as %s, used %d of %d, %s", shortened(i.InviteID, 9), i.Role, i.Used, i.Quota, goodUntil(i.ExpiresMs, now()))
	}
}

// goodUntil says when an invite expires or expired.
func goodUntil(ms uint64, now time.Time) string {
	switch at := clock(ms, now); {
	case ms == 0:
		return "without an end"
	case ms <= uint64(now.UnixMilli()):
		return "expired at " + at
	default:
		return "until " + at
	}
}

func (a *app) teamMembersCommand() *cobra.Command {
	type memberOut struct {
		UserID string   `json:"user_id"`
		Name   string   `json:"name"`
		Role   string   `json:"role"`
		Homes  []string `json:"homes"`
	}
	return &cobra.Command{
		Use:               "members TEAM",
		Short:             "Who is in a team, with their roles and nodes",
		Example:           "  weft team members crew",
		Args:              exactly("TEAM"),
		ValidArgsFunction: a.completeTeams,
		RunE: action(func(cmd *cobra.Command, args []string) error {
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			res, err := call(cmd.Context(), c.Teams.ListMembers, &weftv1.ListMembersRequest{Team: args[0]})
			if err != nil {
				return err
			}
			members := make([]memberOut, len(res.Members))
			for i, m := range res.Members {
				members[i] = memberOut{m.UserId, m.Name, m.Role, list(m.Homes)}
			}
			return printEach(a, members, "Nobody.", "NAME\tROLE\tNODES\tUSER", func(m memberOut) []any {
				return []any{m.Name, m.Role, nodeNames(m.Homes), m.UserID}
			})
		}),
	}
}

func (a *app) teamInviteCommand() *cobra.Command {
	var role string
	var uses uint32
	var expires string
	cmd := &cobra.Command{
		Use:   "invite TEAM",
		Short: "Make a link with which others join",
		Long: `Prints a link. Whoever holds it can join, so send it over a channel that you trust. This node must be reachable while
the link is used, since it is the one that admits.`,
		Example: `  weft team invite crew
  weft team invite crew --uses 20 --expires 30d
  weft team invite crew --role reader`,
		Args:              exactly("TEAM"),
		ValidArgsFunction: a.completeTeams,
		RunE: action(func(cmd *cobra.Command, args []string) error {
			if err := oneOf("role", role, "member", "reader"); err != nil {
				return err
			}
			if uses < 1 || uses > team.MaxQuota {
				return wrongUsage("--uses: %d: a link is for 1 to %d people; make several links for more", uses, team.MaxQuota)
			}
			age, err := parseAge(expires)
			if err != nil {
				return wrongUsage("--expires: %w", err)
			}
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			res, err := call(cmd.Context(), c.Teams.CreateInvite, &weftv1.CreateInviteRequest{Team: args[0], Role: role, Uses: uses, ExpiresInMs: uint64(age.Milliseconds())})
			if err != nil {
				return err
			}
			out := struct {
				Link      string `json:"link"`
				InviteID  string `json:"invite_id"`
				ExpiresMs uint64 `json:"expires_ms"`
			}{res.Link, res.InviteId, res.ExpiresMs}
			if err := a.print(out, func() { a.say("%s", res.Link) }); err != nil {
				return err
			}
			if !a.json {
				a.noteLink(res, uses)
			}
			return nil
		}),
	}
	cmd.Flags().StringVar(&role, "role", "member", "what they may do: member (write) or reader")
	cmd.Flags().Uint32Var(&uses, "uses", 1, "how many people may use the link, at most 1000")
	cmd.Flags().StringVar(&expires, "expires", "7d", "how long the link is good: 30m, 48h, 7d")
	return cmd
}

// noteLink says beside the link how far it goes.
func (a *app) noteLink(res *weftv1.CreateInviteResponse, uses uint32) {
	if isTerminal(a.err) {
		a.note("good for %s until %s; on the other machine: weft join LINK", plural(uint64(max(uses, 1)), "person", "people"),
			clock(res.ExpiresMs, now().Add(-24*time.Hour)))
	}
	switch reach, err := linkReach(res.Link); {
	case err != nil || reach == reachFar:
	case reach == reachNone:
		a.note("the link names no address of this node, so the other node must know one already (weft peer add)")
	default:
		a.note("the addresses in the link are loopback ones: only nodes on this machine can use it (see weft run --listen)")
	}
}
