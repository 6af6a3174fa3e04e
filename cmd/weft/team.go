package main

import (
	"time"

	"github.com/spf13/cobra"

	weftv1 "weft/api/weft/v1"
)

type teamOut struct {
	TeamID  string `json:"team_id"`
	Name    string `json:"name"`
	Role    string `json:"role"`
	Members uint32 `json:"members"`
	Boards  uint32 `json:"boards"`
	Nodes   uint32 `json:"nodes"`
	State   string `json:"state"`
	// Why the state isn't joined.
	StateBy     string `json:"state_by,omitempty"`
	StateByName string `json:"state_by_name,omitempty"`
	StateMs     uint64 `json:"state_ms,omitempty"`
	Reason      string `json:"reason,omitempty"`
	Successor   string `json:"successor,omitempty"`
	ObjectID    string `json:"object_id,omitempty"`
}

func teamOf(t *weftv1.Team) teamOut {
	return teamOut{t.GetTeamId(), t.GetName(), t.GetRole(), t.GetMembers(), t.GetBoards(), t.GetNodes(), t.GetState(),
		t.GetStateBy(), t.GetStateByName(), t.GetStateMs(), t.GetStateReason(), t.GetSuccessor(), t.GetObjectId()}
}

// stateWords says why a team isn't simply joined; "" where it is.
func (t teamOut) stateWords(now time.Time) string {
	by := t.StateByName
	if by == "" && t.StateBy != "" {
		by = shortened(t.StateBy, 9)
	}
	when := ""
	if t.StateMs > 0 {
		when = " at " + clock(t.StateMs, now)
	}
	words := ""
	switch t.State {
	case "removed", "banned":
		words = "you were " + t.State
		if by != "" {
			words += " by " + by
		}
		words += when
		if t.Reason != "" {
			words += ": " + t.Reason
		}
		return words + "; what was here stays, to read"
	case "left":
		return "you left" + when + "; what was here stays, to read"
	case "closed":
		words = "disbanded"
		if by != "" {
			words += " by " + by
		}
		words += when
		if t.Successor != "" {
			words += "; team " + t.Successor + " goes on in its place"
		}
		return words + "; what was here stays, to read"
	case "rejected":
		words = "your request to be let in was rejected"
		if t.Reason != "" {
			words += ": " + t.Reason
		}
		return words + "; its owners and admins can let you in after all"
	case "requested":
		return "you asked to be let in" + when + "; somebody of the team has to approve"
	case "upgrade_needed":
		return "the team uses rules of a newer weft: install it; reading goes on meanwhile"
	}
	return ""
}

// isOut says whether nothing of the team comes any more.
func (t teamOut) isOut() bool {
	return t.State == "removed" || t.State == "banned" || t.State == "left"
}

func (a *app) teamCommand() *cobra.Command {
	return group("team", "Found teams, invite people, say who may do what",
		`  weft team create crew
  weft team invite crew --uses 5 --expires 48h
  weft team members crew
  weft team role crew ben muted
  weft team log crew`,
		a.teamCreateCommand(), a.teamListCommand(), a.teamShowCommand(), a.teamMembersCommand(),
		a.teamInviteCommand(), a.teamRequestsCommand(), a.teamApproveCommand(), a.teamRejectCommand(),
		a.teamRoleCommand(), a.teamRemoveCommand(), a.teamBanCommand(), a.teamLeaveCommand(), a.teamRecutCommand(),
		a.teamAdminCommand(), a.teamOwnerCommand(), a.teamProposalsCommand(), a.teamAgreeCommand(),
		a.teamPolicyCommand(), a.teamNodeCommand(), a.teamRelayCommand(), a.teamRenameCommand(), a.teamDisbandCommand(),
		a.teamLogCommand(), a.teamWhyCommand(), a.teamReissueCommand())
}

func (a *app) teamCreateCommand() *cobra.Command {
	var admins []string
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Found a team that you own",
		Long: `Founds a team. A team with one owner and no admin is only as safe as that one key, and lost with it: name an admin with
--admin if somebody you trust is known here, or make one owner or admin soon (weft team owner add).`,
		Example: `  weft team create crew
  weft team create crew --admin ben`,
		Args: exactly("NAME"),
		RunE: action(func(cmd *cobra.Command, args []string) error {
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			res, err := call(cmd.Context(), c.Teams.CreateTeam, &weftv1.CreateTeamRequest{Name: args[0], Admins: admins})
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
				for _, w := range res.Warnings {
					a.say("%s", oneLine(w))
				}
				a.say("Next: weft team invite %s, or weft post %s \"hello\"", shellWord(args[0]), shellWord(args[0]))
			})
		}),
	}
	cmd.Flags().StringArrayVar(&admins, "admin", nil, "a person (id, or name of somebody in another team of yours) who is an admin from the start; may be repeated")
	return cmd
}

func (a *app) teamListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "The teams that this node takes part in, or did",
		Long: `Lists the teams of this node. One that you were removed from, left or asked to join, or that was disbanded, says so below
the table: by whom, and when. With --json the field state is joined, requested, rejected, left, removed,
banned, closed or upgrade_needed.`,
		Example: `  weft team list
  weft team list --json | jq -r 'select(.state == "joined").name'`,
		Args: exactly(),
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
			err = printEach(a, teams, "No teams yet: weft team create NAME, or weft join LINK", "TEAM\tROLE\tMEMBERS\tBOARDS\tNODES\tID", func(t teamOut) []any {
				return []any{t.Name, t.Role, t.Members, t.Boards, t.Nodes, t.TeamID}
			})
			if a.json {
				return err
			}
			for _, t := range teams {
				if w := t.stateWords(now()); w != "" {
					a.say("%s: %s", oneLine(t.Name), oneLine(w))
				}
			}
			return a.out.broken()
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
	Author    string `json:"author"`
	By        string `json:"author_name"`
	Open      bool   `json:"open"`
}

func invitesOf(invites []*weftv1.InviteInfo) []inviteOut {
	out := make([]inviteOut, len(invites))
	for i, v := range invites {
		out[i] = inviteOut{v.InviteId, v.Role, v.Admitter, v.Quota, v.Used, v.ExpiresMs, v.Author, v.AuthorName, v.Open}
	}
	return out
}

type teamShowOut struct {
	teamOut
	JoinMode       string      `json:"join_mode"`
	Owners         []string    `json:"owners"`
	Admins         []string    `json:"admins"`
	NodeIDs        []string    `json:"node_ids"`
	BoardList      []boardOut  `json:"board_list"`
	Invites        []inviteOut `json:"invites"`
	Policy         policyOut   `json:"policy"`
	CharterID      string      `json:"charter_id"`
	CharterVersion uint64      `json:"charter_version"`
	DeniedNodes    []string    `json:"denied_nodes"`
	Relays         []string    `json:"relays"`
	Requests       uint32      `json:"requests"`
	Proposals      uint32      `json:"proposals"`
	Warnings       []string    `json:"warnings"`
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
			out := showOf(res)
			return a.print(out, func() { a.sayTeam(out, res.Policy) })
		}),
	}
}

func showOf(res *weftv1.GetTeamResponse) teamShowOut {
	out := teamShowOut{teamOut: teamOf(res.Team), JoinMode: res.JoinMode, Owners: list(res.Owners), Admins: list(res.Admins),
		NodeIDs: list(res.NodeIds), BoardList: []boardOut{}, Invites: invitesOf(res.Invites), Policy: policyOf(res.Policy),
		CharterID: res.CharterId, CharterVersion: res.CharterVersion, DeniedNodes: list(res.DeniedNodes), Relays: list(res.Relays),
		Requests: res.Requests, Proposals: res.Proposals, Warnings: list(res.Warnings)}
	for _, b := range res.Boards {
		out.BoardList = append(out.BoardList, boardOf(b))
	}
	return out
}

func (a *app) sayTeam(t teamShowOut, p *weftv1.Policy) {
	you := "you are " + t.Role
	if t.isOut() {
		you = "you are not in it any more"
	}
	a.say("%s  %s; %s, %s", a.paint(bold, oneLine(t.Name)), you, plural(uint64(t.Members), "member", "members"), plural(uint64(t.Nodes), "node", "nodes"))
	if w := t.stateWords(now()); w != "" {
		a.say("%s", capitalized(oneLine(w)))
	}
	a.say("id      %s", t.TeamID)
	a.say("join    %s", t.JoinMode)
	a.say("keep    %s", keepWords(p))
	if w := quotaWords(p); w != "" {
		a.say("limits  %s", w)
	}
	for _, b := range t.BoardList {
		a.say("board   %s  %s, %d unread", oneLine(b.Board), plural(b.Entries, "entry", "entries"), b.Unread)
	}
	for _, n := range t.NodeIDs {
		a.say("node    %s", n)
	}
	for _, n := range t.DeniedNodes {
		a.say("denied  %s", n)
	}
	if t.isOut() {
		return // the rest is for those who are in
	}
	for _, i := range t.Invites {
		a.sayInvite("invite  ", i)
	}
	if t.Requests > 0 {
		a.say("%s to be let in: weft team requests %s", plural(uint64(t.Requests), "person asks", "people ask"), shellWord(t.Name))
	}
	if t.Proposals > 0 {
		a.say("%s: weft team proposals %s", plural(uint64(t.Proposals), "change of the charter waits", "changes of the charter wait"), shellWord(t.Name))
	}
	for _, w := range t.Warnings {
		a.say("%s", oneLine(w))
	}
}

func (a *app) sayInvite(before string, i inviteOut) {
	a.say("%s%s  as %s, used %d of %d, %s", before, shortened(i.InviteID, 9), i.Role, i.Used, i.Quota, i.good(now()))
}

// good says how long a link is good.
func (i inviteOut) good(now time.Time) string {
	switch {
	case i.Used >= i.Quota:
		return "used up"
	case i.Open:
		return "while the team is open"
	}
	return goodUntil(i.ExpiresMs, now)
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
