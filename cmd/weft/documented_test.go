package main

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

// What scripts read is written down: each field of what commands about teams print stands in docs/SCRIPTS.md.
func TestEveryFieldForScriptsIsDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../docs/SCRIPTS.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, out := range []any{
		changeOut{}, behindOut{}, teamOut{}, teamShowOut{}, memberOut{}, inviteOut{}, requestOut{}, policyOut{}, proposalOut{}, eventOut{}, whyOut{},
		statusOut{}, alarmOut{}, entryOut{}, syncOut{}, hiddenOut{}, checkOut{},
		personOut{}, shownDeviceOut{}, countsOut{}, teamPresenceOut{}, presenceChangeOut{}, reasonOut{}, peerOut{}, happened{}, watchedEntryOut{}, liveOut{}, topOut{}, topTeamOut{}, topBehind{}, trafficOut{},
	} {
		of := reflect.TypeOf(out)
		for i := range of.NumField() {
			name, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
			if name != "" && !strings.Contains(string(doc), "`"+name+"`") && !strings.Contains(string(doc), `"`+name+`":`) {
				t.Errorf("docs/SCRIPTS.md does not name %s of %s", name, of.Name())
			}
		}
	}
}
