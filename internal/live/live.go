// Package live is lossy fan-out: who is in a room now, and what its members tell each other that nobody has to keep.
//
// What is said is delivered to the members of a room who are here at that moment, on this and on other replicas, at most once and
// without order between replicas. Who is there heals by itself: replicas number what they tell of it, ask again when a number is
// missing, and forget one of which nothing is heard.
package live

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"byline/internal/ident"
)

// Member is somebody who is in a room, by one connection; a person with two is two members.
type Member struct {
	Connection string `json:"connection_id"`
	User       string `json:"user_id,omitempty"`
	Name       string `json:"name,omitempty"`
}

// The events of presence messages.
const (
	Joined  = "join"
	Left    = "leave"
	Here    = "here"    // the list of who is there
	Changed = "changed" // of a large room: how many there are now, once a second at most
)

// Presence is the data of a presence message.
type Presence struct {
	Event   string   `json:"event"`
	Member  *Member  `json:"member,omitempty"`  // who joined or left
	Members []Member `json:"members,omitempty"` // of Here: those who are there, the first ones of many
	Count   int      `json:"count"`             // how many are there
}

const (
	// largeRoom is from how many members on single comings and goings are not told: n of them would be n² messages.
	largeRoom = 50
	aliveFor  = 10 * time.Second // without a word of a replica
	aliveTick = 3 * time.Second
	tellEvery = time.Second // of large rooms
)

// Bus carries messages between replicas. It is lossy, and Send never blocks. A replica hears its own messages, too, or not.
type Bus interface {
	Send(message []byte)
	// Receive calls hear with each message until cancel; hear must not block, and does not keep the bytes.
	Receive(hear func(message []byte)) (cancel func())
}

// Rooms are those that have members on this replica. Close them.
type Rooms struct {
	self string // this replica
	bus  Bus    // nil: there are no others

	mu       sync.Mutex
	rooms    map[string]*room
	seats    int
	told     int64 // joins and leaves that others were told of
	replicas map[string]*replica
	large    map[*room]bool // whose members are to be told that their number has changed

	unhear func()
	stop   chan struct{}
	loop   sync.WaitGroup
}

type room struct {
	id     string
	seats  []*Seat
	others map[string]other // by connection: members on other replicas
}

// other is a member on another replica.
type other struct {
	Member
	replica string
	sure    bool // named in the answer that is coming in
}

// replica is another one.
type replica struct {
	told  int64
	heard time.Time
}

// Seat is a member's place in a room.
type Seat struct {
	Member
	rooms *Rooms
	room  *room
	place int // in room.seats
	put   func(message []byte)
}

// NewRooms makes empty rooms; without a bus this is the only replica.
func NewRooms(bus Bus) *Rooms {
	r := &Rooms{self: ident.New(), bus: bus, rooms: map[string]*room{}, replicas: map[string]*replica{}, large: map[*room]bool{}, stop: make(chan struct{})}
	if bus != nil {
		r.unhear = bus.Receive(r.hear)
	}
	r.loop.Go(r.run)
	return r
}

// Close tells other replicas that all members here have gone, and ends what runs by itself.
func (r *Rooms) Close() {
	close(r.stop)
	r.loop.Wait()
	if r.bus != nil {
		r.unhear()
		r.send(word{Kind: wordGone})
	}
}

// Encode makes a message as members get it: the envelope of the wire, without a number.
func Encode(room, kind string, data any) []byte {
	b, err := json.Marshal(struct {
		SessionID string    `json:"session_id"`
		At        time.Time `json:"at"`
		Type      string    `json:"type"`
		Data      any       `json:"data"`
	}{room, time.Now().UTC(), kind, data})
	if err != nil {
		panic("live: a message that is no JSON: " + err.Error()) // a mistake in the code
	}
	return b
}

// Join takes a seat. put is called with each message for this member, never its own; it must not block, and only reads the bytes.
func (r *Rooms) Join(id string, m Member, put func(message []byte)) *Seat {
	r.mu.Lock()
	defer r.mu.Unlock()
	rm := r.rooms[id]
	fresh := rm == nil
	if fresh {
		rm = &room{id: id}
		r.rooms[id] = rm
	}
	s := &Seat{Member: m, rooms: r, room: rm, place: len(rm.seats), put: put}
	rm.seats = append(rm.seats, s)
	r.seats++
	r.tell(rm, Joined, m, s)
	r.report(word{Kind: wordJoin, Room: id, Members: []Member{m}})
	if fresh {
		r.send(word{Kind: wordWho, Rooms: []string{id}})
	}
	return s
}

// Leave gives the seat up.
func (s *Seat) Leave() {
	r := s.rooms
	r.mu.Lock()
	defer r.mu.Unlock()
	rm := s.room
	end := len(rm.seats) - 1
	rm.seats[s.place] = rm.seats[end]
	rm.seats[s.place].place = s.place
	rm.seats[end] = nil
	rm.seats = rm.seats[:end]
	r.seats--
	if end == 0 {
		delete(r.rooms, rm.id)
		delete(r.large, rm)
	}
	r.tell(rm, Left, s.Member, nil)
	r.report(word{Kind: wordLeave, Room: rm.id, Members: []Member{{Connection: s.Connection}}})
}

// Say gives a message to all others in the room.
func (s *Seat) Say(kind string, data any) {
	b := Encode(s.room.id, kind, data)
	r := s.rooms
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, other := range s.room.seats {
		if other != s {
			other.put(b)
		}
	}
	if len(s.room.others) > 0 {
		r.send(word{Kind: wordSay, Room: s.room.id, Message: b})
	}
}

// Present tells who is in the room: this member and others, not all of many.
func (s *Seat) Present() Presence {
	r := s.rooms
	r.mu.Lock()
	defer r.mu.Unlock()
	p := Presence{Event: Here, Members: []Member{s.Member}, Count: s.room.count()}
	for _, o := range s.room.seats {
		if o != s && len(p.Members) < largeRoom {
			p.Members = append(p.Members, o.Member)
		}
	}
	for _, o := range s.room.others {
		if len(p.Members) < largeRoom {
			p.Members = append(p.Members, o.Member)
		}
	}
	slices.SortFunc(p.Members[1:], func(a, b Member) int { return strings.Compare(a.Connection, b.Connection) })
	return p
}

func (rm *room) count() int { return len(rm.seats) + len(rm.others) }

// tell tells the members here, but for one, of a coming or going. The caller holds r.mu.
func (r *Rooms) tell(rm *room, event string, m Member, but *Seat) {
	if rm.count() > largeRoom {
		r.large[rm] = true
		return
	}
	if len(rm.seats) == 0 || len(rm.seats) == 1 && rm.seats[0] == but {
		return
	}
	b := Encode(rm.id, "presence", Presence{Event: event, Member: &m, Count: rm.count()})
	for _, s := range rm.seats {
		if s != but {
			s.put(b)
		}
	}
}

// run tells large rooms, and other replicas that this one is there.
func (r *Rooms) run() {
	tick := time.NewTicker(tellEvery)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-r.stop:
			return
		case <-tick.C:
		}
		r.mu.Lock()
		for rm := range r.large {
			b := Encode(rm.id, "presence", Presence{Event: Changed, Count: rm.count()})
			for _, s := range rm.seats {
				s.put(b)
			}
		}
		clear(r.large)
		if r.bus != nil && n%int(aliveTick/tellEvery) == 0 {
			if r.seats > 0 {
				r.send(word{Kind: wordAlive})
			}
			r.bury()
		}
		r.mu.Unlock()
	}
}
