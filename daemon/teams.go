package daemon

import (
	"fmt"
	"strings"

	weftv1 "weft/api/weft/v1"
	"weft/store"
)

// fetching are the teams that this node is in and of which it doesn't even have the charter: it was lost with the store's
// tables, or joining is under way. Their names are in what is missing, so they go by their ids.
func fetching(s *store.Store) (ids []string) {
	for _, id := range s.Teams() {
		if st, ok := s.Team(id); !ok || !st.Known() {
			ids = append(ids, id.String())
		}
	}
	return ids
}

// checkTeams says which teams are still to come from teammates.
func checkTeams(s *store.Store) *weftv1.DoctorCheck {
	ids := fetching(s)
	if len(ids) == 0 {
		return check("teams", levelOK, fmt.Sprintf("%d", len(s.Teams())), "")
	}
	return check("teams", levelWarn, "being fetched from teammates: "+strings.Join(ids, ", "),
		"see that a teammate's node is on line (weft peers); where none is left, restore a backup of the folder")
}
