package store

import (
	"bytes"
	"sync"

	"byline/internal/live"
)

// liveBus carries what members of rooms tell each other between replicas, on the connections of the bus of wake-ups: several
// messages in one NOTIFY, a line each.
type liveBus struct {
	kick func() // there is something to send

	mu      sync.Mutex
	pending [][]byte
	hears   map[int]func([]byte)
	next    int
}

const (
	liveChannel = "byline_live"
	liveMost    = 1000 // messages that wait; the oldest are lost
)

// LiveBus is the bus between the rooms of replicas; nil on SQLite, which has one process.
func (s *Store) LiveBus() live.Bus {
	if p, ok := s.backend.(*pgDB); ok {
		return p.bus.live
	}
	return nil
}

// Send meets live.Bus.
func (b *liveBus) Send(message []byte) {
	if len(message) > live.MaxMessage {
		return
	}
	b.mu.Lock()
	if len(b.pending) == liveMost {
		b.pending = append(b.pending[:0], b.pending[1:]...)
	}
	b.pending = append(b.pending, message)
	b.mu.Unlock()
	b.kick()
}

// Receive meets live.Bus.
func (b *liveBus) Receive(hear func(message []byte)) (cancel func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	id := b.next
	b.next++
	b.hears[id] = hear
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.hears, id)
	}
}

// take gives as many messages as fit into one NOTIFY.
func (b *liveBus) take() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var payload []byte
	n := 0
	for ; n < len(b.pending) && len(payload)+1+len(b.pending[n]) <= live.MaxMessage; n++ {
		if n > 0 {
			payload = append(payload, '\n')
		}
		payload = append(payload, b.pending[n]...)
	}
	b.pending = b.pending[n:]
	return string(payload)
}

// hear hands on what another replica sent.
func (b *liveBus) hear(payload string) {
	b.mu.Lock()
	hears := make([]func([]byte), 0, len(b.hears))
	for _, h := range b.hears {
		hears = append(hears, h)
	}
	b.mu.Unlock()
	for line := range bytes.Lines([]byte(payload)) {
		for _, h := range hears {
			h(line)
		}
	}
}
