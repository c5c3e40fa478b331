package live_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"byline/internal/live"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// wire carries messages between replicas, to each in order; it can lose them.
type wire struct {
	mu   sync.Mutex
	ends map[int]chan []byte
	next int
	lose bool
}

func newWire() *wire { return &wire{ends: map[int]chan []byte{}} }

// end is a replica's end of the wire: it hears what the others and itself send.
type end struct {
	w *wire
	t *testing.T
}

func (e end) Send(b []byte) {
	if len(b) > live.MaxMessage {
		e.t.Errorf("message of %d bytes", len(b))
	}
	e.w.mu.Lock()
	defer e.w.mu.Unlock()
	if e.w.lose {
		return
	}
	for _, to := range e.w.ends {
		to <- slices.Clone(b)
	}
}

func (e end) Receive(hear func([]byte)) func() {
	e.w.mu.Lock()
	defer e.w.mu.Unlock()
	e.w.next++
	id, queue := e.w.next, make(chan []byte, 1000)
	e.w.ends[id] = queue
	go func() {
		for b := range queue {
			hear(b)
		}
	}()
	return func() {
		e.w.mu.Lock()
		defer e.w.mu.Unlock()
		delete(e.w.ends, id)
		close(queue)
	}
}

func (w *wire) cut(lose bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lose = lose
}

// guest is a member of a test, and what it was told.
type guest struct {
	*live.Seat
	mu    sync.Mutex
	heard []string
}

func sit(r *live.Rooms, room, name string) *guest {
	g := &guest{}
	g.Seat = r.Join(room, live.Member{Connection: name, User: "u-" + name, Name: strings.ToUpper(name)}, func(b []byte) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.heard = append(g.heard, string(b))
	})
	return g
}

// told gives what was told since the last time, in short.
func (g *guest) told(t *testing.T) string {
	t.Helper()
	synctest.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	var short []string
	for _, s := range g.heard {
		var m struct {
			SessionID string `json:"session_id"`
			At        time.Time
			Type      string
			Data      json.RawMessage
		}
		if err := json.Unmarshal([]byte(s), &m); err != nil || m.SessionID == "" || m.At.IsZero() {
			t.Fatalf("message %s: %v", s, err)
		}
		if m.Type != "presence" {
			short = append(short, m.Type+string(m.Data))
			continue
		}
		var p live.Presence
		if err := json.Unmarshal(m.Data, &p); err != nil {
			t.Fatal(err)
		}
		word := fmt.Sprint(p.Event, " ", p.Count)
		if p.Member != nil {
			word = fmt.Sprint(p.Event, " ", p.Member.Connection, " ", p.Count)
		}
		short = append(short, word)
	}
	g.heard = nil
	return strings.Join(short, ", ")
}

func (g *guest) here() string {
	var names []string
	p := g.Present()
	for _, m := range p.Members {
		names = append(names, m.Connection)
	}
	return fmt.Sprint(strings.Join(names, " "), " of ", p.Count)
}

func want(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %s, want %s", what, got, want)
	}
}

func TestRoomsOfOneProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := live.NewRooms(nil)
		defer r.Close()
		a, b, x := sit(r, "one", "a"), sit(r, "one", "b"), sit(r, "two", "x")
		want(t, "a is told", a.told(t), "join b 2")
		want(t, "b is told", b.told(t), "")
		a.Say("typing", map[string]bool{"typing": true})
		want(t, "b is told", b.told(t), `typing{"typing":true}`)
		want(t, "a does not hear itself", a.told(t), "")
		want(t, "here", b.here(), "b a of 2")
		c := sit(r, "one", "c")
		b.Leave()
		want(t, "a is told", a.told(t), "join c 3, leave b 2")
		want(t, "here", c.here(), "c a of 2")
		a.Leave()
		c.Leave()
		want(t, "another room is told", x.told(t), "")
		want(t, "b is told no more", b.told(t), "join c 3")
	})
}

// In a large room nobody is told of each one; how many there are is told once a second.
func TestLargeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := live.NewRooms(nil)
		defer r.Close()
		first := sit(r, "one", "first")
		for i := range 199 {
			sit(r, "one", fmt.Sprint("m", i))
		}
		if n := len(strings.Split(first.told(t), ", ")); n != 49 {
			t.Errorf("told of %d comings", n)
		}
		time.Sleep(1500 * time.Millisecond)
		want(t, "told", first.told(t), "changed 200")
		time.Sleep(3 * time.Second)
		want(t, "told", first.told(t), "")
		if p := first.Present(); len(p.Members) != 50 || p.Count != 200 || p.Members[0].Connection != "first" {
			t.Errorf("%d named of %d", len(p.Members), p.Count)
		}
	})
}

func TestRoomsOfReplicas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		one := live.NewRooms(end{w, t})
		defer one.Close()
		a := sit(one, "room", "a")
		time.Sleep(time.Second)
		// A replica that comes later learns who is there, and is told what happens.
		two := live.NewRooms(end{w, t})
		b := sit(two, "room", "b")
		want(t, "b is told", b.told(t), "join a 2")
		want(t, "a is told", a.told(t), "join b 2")
		want(t, "here", b.here(), "b a of 2")
		a.Say("cursor", 7)
		want(t, "b is told", b.told(t), "cursor7")
		b.Say("cursor", 8)
		want(t, "a is told", a.told(t), "cursor8")
		c := sit(one, "room", "c")
		want(t, "b is told", b.told(t), "join c 3")
		c.Leave()
		want(t, "b is told", b.told(t), "leave c 2")
		// What is lost heals.
		w.cut(true)
		d, e := sit(one, "room", "d"), sit(one, "other", "e")
		a.Leave()
		time.Sleep(time.Second)
		want(t, "b is told nothing", b.told(t), "")
		w.cut(false)
		time.Sleep(4 * time.Second)
		if got := b.told(t); got != "join d 3, leave a 2" {
			t.Errorf("b is told %s", got)
		}
		want(t, "here", b.here(), "b d of 2")
		// One that is cut off is forgotten, and found again.
		w.cut(true)
		time.Sleep(15 * time.Second)
		want(t, "here", b.here(), "b of 1")
		want(t, "here", d.here(), "d of 1")
		w.cut(false)
		time.Sleep(4 * time.Second)
		want(t, "here", b.here(), "b d of 2")
		want(t, "here", d.here(), "d b of 2")
		// One that stops says so.
		two.Close()
		synctest.Wait()
		want(t, "here", d.here(), "d of 1")
		e.Leave()
	})
}

// Long lists come in parts; a part that is lost takes nobody away.
func TestManyMembersOnAnotherReplica(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		one, two := live.NewRooms(end{w, t}), live.NewRooms(end{w, t})
		defer one.Close()
		defer two.Close()
		name := strings.Repeat("é", 150)
		for i := range 130 {
			one.Join("room", live.Member{Connection: fmt.Sprintf("%026d", i), User: fmt.Sprintf("%026d", i), Name: name}, func([]byte) {})
		}
		b := sit(two, "room", "b")
		synctest.Wait()
		if p := b.Present(); p.Count != 131 || len(p.Members) != 50 || !strings.HasPrefix(name, p.Members[9].Name) {
			t.Errorf("%d of %d: %s", len(p.Members), p.Count, p.Members[9].Name)
		}
	})
}

// What is no word of a replica is not heard.
func TestNoise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		r := live.NewRooms(end{w, t})
		defer r.Close()
		a := sit(r, "room", "a")
		synctest.Wait()
		for _, noise := range []string{"", "{", "[]", `{"k":"join","r":"room","m":[{"connection_id":"x"}]}`, `{"f":"f","k":"dance","r":"room"}`, `{"f":"f","k":"leave","r":"room","m":[{"connection_id":"x"}]}`, `{"f":"f","k":"who","rs":["none"]}`} {
			end{w, t}.Send([]byte(noise))
		}
		want(t, "told", a.told(t), "")
		want(t, "here", a.here(), "a of 1")
	})
}

// FuzzHear holds that nothing another replica says brings this one down, or makes it say what is no message.
func FuzzHear(f *testing.F) {
	for _, s := range []string{`{"f":"r","n":1,"k":"join","r":"room","m":[{"connection_id":"x","name":"X"}]}`, `{"f":"r","k":"here","r":"room","p":0,"c":true}`, `{"f":"r","k":"say","r":"room","b":{"type":"typing"}}`,
		`{"f":"r","k":"who","rs":["room"]}`, `{"f":"r","n":99,"k":"alive"}`, `{"f":"r","k":"gone"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var hear func([]byte)
		r := live.NewRooms(tap{&hear})
		defer r.Close()
		s := r.Join("room", live.Member{Connection: "a"}, func(b []byte) {
			if !json.Valid(b) {
				t.Errorf("told %q", b)
			}
		})
		hear(b)
		hear(b)
		if p := s.Present(); p.Count < 1 || p.Members[0].Connection != "a" {
			t.Errorf("here: %+v", p)
		}
	})
}

// tap gives a test what a replica would hear.
type tap struct{ hear *func([]byte) }

func (tap) Send([]byte) {}

func (p tap) Receive(hear func([]byte)) func() {
	*p.hear = hear
	return func() {}
}

// A member's place on the wire.
func TestEncode(t *testing.T) {
	var got map[string]any
	if err := json.Unmarshal(live.Encode("room", "presence", live.Presence{Event: live.Left, Member: &live.Member{Connection: "c"}}), &got); err != nil {
		t.Fatal(err)
	}
	delete(got, "at")
	if diff := cmp.Diff(map[string]any{"session_id": "room", "type": "presence", "data": map[string]any{"event": "leave", "member": map[string]any{"connection_id": "c"}, "count": 0.0}}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
