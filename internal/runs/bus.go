package runs

import "sync"

// LocalBus wakes within one process.
type LocalBus struct {
	mu   sync.RWMutex
	subs map[int]func([]string)
	next int
}

// NewBus makes a bus without subscribers.
func NewBus() *LocalBus { return &LocalBus{subs: map[int]func([]string){}} }

// Publish calls every subscriber.
func (b *LocalBus) Publish(topics ...string) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, wake := range b.subs {
		wake(topics)
	}
}

// Subscribe calls wake until cancel returns.
func (b *LocalBus) Subscribe(wake func(topics []string)) (cancel func()) {
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
