package live

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
)

// word is what replicas tell each other.
type word struct {
	From    string          `json:"f"`
	Told    int64           `json:"n,omitempty"` // joins and leaves that the sender has told of, this one included
	Kind    string          `json:"k"`
	Room    string          `json:"r,omitempty"`
	Rooms   []string        `json:"rs,omitempty"`
	Members []Member        `json:"m,omitempty"`
	Part    int             `json:"p,omitempty"` // of a list in several parts, from 0
	More    bool            `json:"c,omitempty"` // parts follow
	Message json.RawMessage `json:"b,omitempty"`
}

// The kinds of words.
const (
	wordJoin  = "join"
	wordLeave = "leave"
	wordSay   = "say"
	wordWho   = "who"   // is in these rooms, on your side?
	wordHere  = "here"  // the answer: all of one room on this side
	wordAlive = "alive" // so that others know that they have missed nothing
	wordGone  = "gone"  // all members of the sender
)

const (
	// MaxMessage is the most that a message between replicas has, in bytes: PostgreSQL's NOTIFY takes 8,000.
	MaxMessage  = 7800
	partMembers = 20  // in a part of a list: a member has 300 bytes at most
	partRooms   = 200 // of a question
	maxName     = 200 // bytes of a member's name between replicas
)

// send gives a word to the other replicas. The caller holds r.mu.
func (r *Rooms) send(w word) {
	if r.bus == nil {
		return
	}
	w.From, w.Told = r.self, r.told
	for i := range w.Members {
		if len(w.Members[i].Name) > maxName {
			w.Members[i].Name = strings.ToValidUTF8(w.Members[i].Name[:maxName], "")
		}
	}
	b, err := json.Marshal(w)
	if err != nil {
		panic("live: a word that is no JSON: " + err.Error()) // a mistake in the code
	}
	if len(b) <= MaxMessage {
		r.bus.Send(b)
	}
}

// report sends a word that nobody may miss for good. The caller holds r.mu.
func (r *Rooms) report(w word) {
	r.told++
	r.send(w)
}

// hear takes a word of another replica.
func (r *Rooms) hear(message []byte) {
	var w word
	if json.Unmarshal(message, &w) != nil || w.From == r.self || w.From == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if w.Kind == wordGone {
		r.forget(w.From)
		return
	}
	r.count(w)
	switch w.Kind {
	case wordWho:
		for _, id := range w.Rooms {
			r.answer(id)
		}
		return
	case wordAlive:
		return
	}
	rm := r.rooms[w.Room]
	if rm == nil {
		return // nobody here wants to know
	}
	switch w.Kind {
	case wordJoin:
		for _, m := range w.Members {
			r.add(rm, m, w.From)
		}
	case wordLeave:
		for _, m := range w.Members {
			r.drop(rm, m.Connection)
		}
	case wordHere:
		r.compare(rm, w)
	case wordSay:
		for _, s := range rm.seats {
			s.put(w.Message)
		}
	}
}

// count notes that a replica is there, and asks anew about everything when something that it told was missed.
func (r *Rooms) count(w word) {
	known := r.replicas[w.From]
	if known == nil {
		known = &replica{}
		r.replicas[w.From] = known
	}
	known.heard = time.Now()
	next := known.told
	if w.Kind == wordJoin || w.Kind == wordLeave {
		next++
	}
	missed := w.Told > next
	known.told = max(known.told, w.Told)
	if missed {
		for part := range slices.Chunk(slices.Sorted(maps.Keys(r.rooms)), partRooms) {
			r.send(word{Kind: wordWho, Rooms: part})
		}
	}
}

// answer tells who is here in a room.
func (r *Rooms) answer(id string) {
	rm := r.rooms[id]
	if rm == nil {
		return
	}
	for part := 0; part*partMembers < len(rm.seats); part++ {
		w := word{Kind: wordHere, Room: id, Part: part, More: (part+1)*partMembers < len(rm.seats)}
		for _, s := range rm.seats[part*partMembers : min(len(rm.seats), (part+1)*partMembers)] {
			w.Members = append(w.Members, s.Member)
		}
		r.send(w)
	}
}

// compare holds what is known of a replica's members of a room against its answer.
func (r *Rooms) compare(rm *room, w word) {
	if w.Part == 0 {
		for id, o := range rm.others {
			if o.replica == w.From {
				o.sure = false
				rm.others[id] = o
			}
		}
	}
	for _, m := range w.Members {
		r.add(rm, m, w.From)
	}
	if w.More {
		return
	}
	for id, o := range rm.others {
		if o.replica == w.From && !o.sure {
			r.drop(rm, id)
		}
	}
}

func (r *Rooms) add(rm *room, m Member, from string) {
	if rm.others == nil {
		rm.others = map[string]other{}
	}
	_, known := rm.others[m.Connection]
	rm.others[m.Connection] = other{m, from, true}
	if !known {
		r.tell(rm, Joined, m, nil)
	}
}

func (r *Rooms) drop(rm *room, connection string) {
	o, known := rm.others[connection]
	if !known {
		return
	}
	delete(rm.others, connection)
	r.tell(rm, Left, o.Member, nil)
}

// bury forgets replicas of which nothing was heard for too long: they were killed, or cannot be reached.
func (r *Rooms) bury() {
	for id, known := range r.replicas {
		if time.Since(known.heard) > aliveFor {
			r.forget(id)
		}
	}
}

func (r *Rooms) forget(id string) {
	delete(r.replicas, id)
	for _, rm := range r.rooms {
		for connection, o := range rm.others {
			if o.replica == id {
				r.drop(rm, connection)
			}
		}
	}
}
