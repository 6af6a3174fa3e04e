package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// catchUp is how long nodes get to agree.
const catchUp = 60 * time.Second

// line is one message of the conversation.
type line struct {
	node int
	text string
}

var before = []line{
	{0, "Good morning! The feed of commits starts in a minute, in crew/commits."},
	{1, "Guten Morgen! Schöne Grüße aus Köln – ich lese mit."},
	{2, "おはようございます。接続できました。"},
	{0, "¿Todos ven lo mismo? Entonces, empezamos."},
	{2, "はい、見えています 👍"},
}

var during = []line{
	{1, "Où est passée Chiyo ? Son nœud ne répond plus."},
	{0, "Somebody pulled the plug: kill -9. Let us go on, it will catch up."},
	{1, "Хорошо, продолжаем без неё."},
	{0, "नमस्ते! यह संदेश वह बाद में पढ़ेगी।"},
	{1, "مرحبا، هذه رسالة من اليمين إلى اليسار"},
	{0, "一条也不会丢，一条也不会重复。"},
}

var after = []line{
	{2, "戻りました。全部読めました。"},
	{1, "Willkommen zurück!"},
	{0, "שלום לכולם 🎉"},
}

var names = []string{"Ada", "Ben", "Chiyo"}

func (d *demo) play(ctx context.Context) error {
	feed, err := d.feed(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("three nodes in %s\n\n", d.folder)
	var link string
	killed := func() *node { return d.nodes[2] }
	for _, s := range []struct {
		what string
		do   func() error
	}{
		{"start three nodes", func() error { return d.startAll(ctx) }},
		{"Ada founds team crew with boards general and commits", func() error {
			_, err := d.nodes[0].weft(ctx, "", "team", "create", "crew")
			if err == nil {
				_, err = d.nodes[0].weft(ctx, "", "board", "create", "crew", "commits")
			}
			return err
		}},
		{"Ada makes an invite link", func() (err error) {
			link, err = d.nodes[0].weft(ctx, "", "team", "invite", "crew", "--uses", "2")
			return err
		}},
		{"Ben joins by the link", func() error { return d.join(ctx, 1, link) }},
		{"Chiyo joins by the link", func() error { return d.join(ctx, 2, link) }},
		{"they talk", func() error { return d.talk(ctx, before) }},
		{"all three have it", func() error { return d.agree(ctx, 0, 1, 2) }},
		{"kill -9 Chiyo's node", func() error { killed().kill(); return nil }},
		{fmt.Sprintf("git log (%d commits) | weft post crew/commits -", strings.Count(feed, "\n")), func() error {
			_, err := d.nodes[0].weft(ctx, feed, "post", "crew/commits", "-")
			return err
		}},
		{"Ada and Ben go on talking", func() error { return d.talk(ctx, during) }},
		{"Ada and Ben have all of it", func() error { return d.agree(ctx, 0, 1) }},
		{"Chiyo's node starts again", func() error { return killed().start(ctx) }},
		{"Chiyo has caught up", func() error { return d.agree(ctx, 0, 1, 2) }},
		{"they talk on", func() error { return d.talk(ctx, after) }},
		{"all three have everything", func() error { return d.agree(ctx, 0, 1, 2) }},
	} {
		if err := step(s.what, s.do); err != nil {
			return err
		}
	}
	if err := d.show(ctx); err != nil {
		return err
	}
	return step("stop the nodes in order", d.stopAll)
}

func (d *demo) startAll(ctx context.Context) error {
	for i := range names {
		d.nodes = append(d.nodes, newNode(d, names[i]))
	}
	for _, n := range d.nodes {
		if err := n.start(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) stopAll() error {
	for _, n := range d.nodes {
		if err := n.stop(); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) join(ctx context.Context, node int, link string) error {
	_, err := d.nodes[node].weft(ctx, "", "join", strings.TrimSpace(link))
	return err
}

func (d *demo) talk(ctx context.Context, lines []line) error {
	for _, l := range lines {
		if _, err := d.nodes[l.node].weft(ctx, "", "post", "crew", l.text); err != nil {
			return err
		}
	}
	return nil
}

// agree waits until these nodes show the same boards.
func (d *demo) agree(ctx context.Context, nodes ...int) error {
	ctx, cancel := context.WithTimeout(ctx, catchUp)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		same, states, err := d.compare(ctx, nodes)
		if same {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("the nodes don't agree: %v %w", states, err)
		}
	}
}

// compare says what each of the nodes has, and whether that is the same.
func (d *demo) compare(ctx context.Context, nodes []int) (same bool, states []state, err error) {
	same = true
	for _, i := range nodes {
		st, err := d.nodes[i].state(ctx)
		if err != nil {
			return false, states, err
		}
		states = append(states, st)
		same = same && st.hash == states[0].hash
	}
	return same, states, nil
}

// show prints what the nodes hold in the end.
func (d *demo) show(ctx context.Context) error {
	same, states, err := d.compare(ctx, []int{0, 1, 2})
	if err != nil {
		return err
	}
	fmt.Println()
	for _, st := range states {
		fmt.Printf("%-6s  %s  %4d entries  unread: %s\n", st.name, st.hash, st.entries, st.unread)
	}
	fmt.Println()
	if !same {
		return fmt.Errorf("the nodes hold different boards")
	}
	return nil
}
