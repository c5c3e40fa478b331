package httpapi

import "byline/internal/live"

// Hear lets a member of a room say something, and gives what it and another one are told.
func Hear(text bool, message []byte) (self, other [][]byte) {
	rooms := live.NewRooms(nil)
	defer rooms.Close()
	listener := rooms.Join("room", live.Member{Connection: "other"}, func(b []byte) { other = append(other, b) })
	defer listener.Leave()
	k := &socket{session: "room"}
	k.post.bell = func() {}
	k.place = rooms.Join("room", live.Member{Connection: "self"}, k.post.put)
	other = nil
	if err := k.hear(text, message); err != nil {
		panic(err) // one message is not too much
	}
	self, _ = k.post.take()
	return self, other
}
