package runs

import "sync"

// LocalBus wakes within one process.
type LocalBus struct {
	mu   sync.RWMutex
	subs map[int]func(string)
	next int
}

// NewBus makes a bus without subscribers.
func NewBus() *LocalBus { return &LocalBus{subs: map[int]func(string){}} }

// Publish calls every subscriber with every id.
func (b *LocalBus) Publish(runIDs ...string) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, id := range runIDs {
		for _, wake := range b.subs {
			wake(id)
		}
	}
}

// Subscribe calls wake until cancel returns.
func (b *LocalBus) Subscribe(wake func(string)) (cancel func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	id := b.next
	b.next++
	b.subs[id] = wake
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.subs, id)
	}
}
