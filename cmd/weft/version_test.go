package main

import (
	"runtime/debug"
	"testing"
)

func TestTheVersionComesFromTheBuild(t *testing.T) {
	setting := func(key, value string) debug.BuildSetting { return debug.BuildSetting{Key: key, Value: value} }
	revision := setting("vcs.revision", "0123456789abcdef0123456789abcdef01234567")
	for want, info := range map[string]*debug.BuildInfo{
		"unknown":            {Main: debug.Module{Version: "(devel)"}},
		"v1.2.3":             {Main: debug.Module{Version: "v1.2.3"}, Settings: []debug.BuildSetting{revision}},
		"0123456789ab":       {Main: debug.Module{Version: "(devel)"}, Settings: []debug.BuildSetting{revision, setting("vcs.modified", "false")}},
		"0123456789ab-dirty": {Settings: []debug.BuildSetting{revision, setting("vcs.modified", "true")}},
	} {
		if got := builtFrom(info); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := builtFrom(nil); got != "unknown" {
		t.Errorf("without any: %q", got)
	}
}
