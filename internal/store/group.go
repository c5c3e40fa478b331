package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"byline/internal/runs"
)

// member is one write on its way into a group commit.
type member struct {
	ctx  context.Context
	lane lane
	do   func(*tx) error
	next *member // was handed in with it
	err  error
	done *sync.WaitGroup
	wake []string
	new  []runs.Event
}

// end says what has become of it.
func (m *member) end(err error) {
	m.err = err
	m.done.Done()
}

// groupSize is from how many writes of the lane of events on a commit takes no more: as many as the windows of a thousand runs that end on one beat.
const groupSize = 512

// write hands a member to the writer and waits for its commit.
func (l *liteDB) write(ctx context.Context, ln lane, do func(*tx) error) error {
	var done sync.WaitGroup
	done.Add(1)
	m := &member{ctx: ctx, lane: ln, do: do, done: &done}
	if err := l.handIn(ctx, m); err != nil {
		return err
	}
	done.Wait() // what was handed in is done: the caller must know whether
	return m.err
}

func (l *liteDB) handIn(ctx context.Context, m *member) error {
	to := l.events
	if m.lane == laneBulk {
		to = l.bulk
	}
	l.closing.RLock()
	defer l.closing.RUnlock()
	if l.closed || l.writer == nil {
		return errBusy
	}
	select {
	case to <- m:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// writeAll hands in members together: they come into one group.
func (l *liteDB) writeAll(ln lane, n int, do func(i int) (context.Context, func(*tx) error), done func(i int, err error)) {
	if n == 0 {
		return
	}
	var all sync.WaitGroup
	all.Add(n)
	members := make([]member, n)
	for i := range members {
		ctx, do := do(i)
		members[i] = member{ctx: ctx, lane: ln, do: do, done: &all}
		if i > 0 {
			members[i-1].next = &members[i]
		}
	}
	if err := l.handIn(context.Background(), &members[0]); err != nil {
		for i := range members {
			done(i, err)
		}
		return
	}
	all.Wait()
	for i := range members {
		done(i, members[i].err)
	}
}

// with adds a member, and those that were handed in with it, to a group.
func with(group []*member, m *member) []*member {
	for ; m != nil; m = m.next {
		group = append(group, m)
	}
	return group
}

// run is the writer: it takes what waits, events first, and commits it as one group.
func (l *liteDB) run() {
	group := make([]*member, 0, groupSize)
	more := gathering{timer: time.NewTimer(0)}
	var bulk *member // came while events were gathered
	idle, quiet := time.NewTimer(idleTick), 0
	defer l.shelveAll()
	for {
		group = l.waiting(group[:0])
		if len(group) == 0 && bulk != nil {
			group, bulk = append(group, bulk), nil
		}
		if len(group) == 0 {
			if quiet < quietTicks {
				idle.Reset(idleTick)
			}
			select {
			case m := <-l.events:
				group = with(group, m)
			case m := <-l.bulk:
				group = append(group, m)
			case <-idle.C: // nobody writes any more
				if quiet++; !l.intake.empty() {
					quiet = 0
					l.commit(nil)
				} else if quiet == quietTicks {
					l.shrink()
				}
				continue
			case <-l.stop:
				return
			}
			group = l.waiting(group)
		}
		quiet = 0
		if bulk == nil && more.worthwhile(group) {
			group, bulk = l.gather(group, &more)
		}
		l.commit(group)
	}
}

// waiting adds what waits in the lane of events.
func (l *liteDB) waiting(group []*member) []*member {
	for len(group) < groupSize {
		select {
		case m := <-l.events:
			group = with(group, m)
		default:
			return group
		}
	}
	return group
}

// gathering decides when to wait a little for more appends. A commit costs twice what an append does, so where many runs
// write, sharing it halves the work and more. A wait that brings few is not tried again for a while.
type gathering struct {
	timer *time.Timer
	skip  int // groups that are not waited for
}

const (
	patience  = 5 * time.Millisecond
	payoff    = 3 // members that a wait must bring
	skipAfter = 256
)

// worthwhile is false as soon as anybody but logs waits.
func (g *gathering) worthwhile(group []*member) bool {
	for _, m := range group {
		if m.lane != laneLog {
			return false
		}
	}
	if g.skip > 0 {
		g.skip--
		return false
	}
	return len(group) < groupSize
}

// gather waits for more members until somebody comes who should not wait. Bulk that comes is handed back: it finds the
// writer busy, so there is nothing to wait for, but events do not wait for it.
func (l *liteDB) gather(group []*member, g *gathering) (_ []*member, bulk *member) {
	before := len(group)
	g.timer.Reset(patience)
	for len(group) < groupSize {
		select {
		case m := <-l.events:
			group = with(group, m)
			if m.lane != laneLog {
				return group, nil
			}
		case m := <-l.bulk:
			return group, m
		case <-g.timer.C:
			if len(group)-before < payoff {
				g.skip = skipAfter
			}
			return group, nil
		case <-l.stop:
			return group, nil
		}
	}
	return group, nil
}

// commit runs the members of a group in one transaction. A member that fails rolls back to its savepoint and nothing else.
func (l *liteDB) commit(group []*member) {
	l.writer.wrote, l.writer.index = false, false
	errs := make([]error, len(group))
	err := errRepeat
	if onlyLogs(group) {
		err = l.transact(group, errs, false)
	}
	if errors.Is(err, errRepeat) {
		err = l.transact(group, errs, true)
	}
	l.full.Store(errors.Is(err, errFull))
	if l.writer.wrote {
		l.changes.Add(1)
	}
	if l.writer.index {
		l.reindexed.Add(1)
	}
	var wake []string
	for i, m := range group {
		if err != nil {
			errs[i] = errors.Join(errs[i], err)
		}
		if errors.Is(errs[i], errFull) {
			l.full.Store(true)
		}
		if errs[i] == nil {
			l.recent.add(m.new)
			wake = append(wake, m.wake...)
		}
		m.end(errs[i])
	}
	if len(wake) > 0 {
		l.bus.Publish(wake...)
	}
	select {
	case l.committed <- struct{}{}:
	default:
	}
}

// errRepeat is told of a transaction that was rolled back and must be done again, each member behind a savepoint.
var errRepeat = errors.New("a member failed without a savepoint")

// transact does a group's transaction, with savepoints or without: without, a member that fails in the midst of its writes rolls all back.
func (l *liteDB) transact(group []*member, errs []error, savepoints bool) error {
	ctx := context.Background()
	c := l.writer
	var together *late
	if !savepoints {
		together = &l.late
		together.rows = together.rows[:0]
	}
	_, err := c.exec(ctx, "BEGIN IMMEDIATE")
	for i := 0; err == nil && i < len(group); i++ {
		errs[i], err = l.member(ctx, group[i], savepoints && len(group) > 1, together)
		if !savepoints && err == nil && errs[i] != nil && !errors.Is(errs[i], runs.ErrFenced) && group[i].ctx.Err() == nil {
			err = errRepeat
		}
	}
	if err == nil && !savepoints && together.write(ctx, c) != nil {
		err = errRepeat
	}
	nothing := err == nil && len(group) == 1 && errs[0] != nil
	now := time.Now()
	if err == nil && !nothing {
		if err = l.intake.write(ctx, c, now); err == nil {
			_, err = c.exec(ctx, "COMMIT")
		}
	}
	if err != nil || nothing {
		c.exec(ctx, "ROLLBACK") //nolint:errcheck // a full disk rolls back by itself; the error is told to all members
	}
	l.intake.done(err == nil && !nothing, now)
	return err
}

// How long nobody must have written until caches are given up: more of them is used at a busy time than is any use later.
const (
	idleTick   = intakeAge
	quietTicks = 4
)

// shrink gives back the memory of pages that connections remember, but for those that are in use now.
func (l *liteDB) shrink() {
	const query = "PRAGMA shrink_memory"
	ctx := context.Background()
	l.writer.exec(ctx, query) //nolint:errcheck // it is only memory
	idle := l.readers.takeIdle()
	for _, c := range slices.Backward(idle) { // the one used last comes back last
		if c.conn != nil {
			c.exec(ctx, query) //nolint:errcheck // the same
		}
		l.readers.give(c)
	}
}

// shelveAll leaves nothing in the intake of a store that is closed. What fails here is done when it is opened again.
func (l *liteDB) shelveAll() {
	if !l.intake.empty() {
		var done sync.WaitGroup
		done.Add(1)
		l.commit([]*member{{ctx: context.Background(), lane: laneBulk, do: (*tx).shelveAll, done: &done}})
	}
}

// onlyLogs tells whether a group has nothing but appends, which are refused before they write anything. They need no savepoints, and
// pages that are not changed behind one need not be copied.
func onlyLogs(group []*member) bool {
	for _, m := range group {
		if m.lane != laneLog && m.lane != laneHaste {
			return false
		}
	}
	return len(group) > 1
}

// member runs one write. its error is its own; broken is one of the whole transaction.
func (l *liteDB) member(ctx context.Context, m *member, savepoint bool, together *late) (its, broken error) {
	if err := m.ctx.Err(); err != nil {
		return err, nil
	}
	c := l.writer
	if savepoint {
		if _, err := c.exec(ctx, "SAVEPOINT member"); err != nil {
			return nil, err
		}
	}
	t := &tx{ctx: ctx, q: c, now: time.Now().UnixMicro(), recent: l.recent, late: together, intake: l.intake}
	if its = guarded(m.do, t); its == nil {
		m.wake, m.new = t.wake, t.new
		if t.opens != nil {
			l.intake.opening[t.opens.run] = t.opens
		}
	}
	if !savepoint {
		return its, nil
	}
	if its != nil {
		if _, err := c.exec(ctx, "ROLLBACK TO member"); err != nil {
			return its, err // a full disk rolls everything back by itself
		}
		l.intake.undo(t)
	}
	_, broken = c.exec(ctx, "RELEASE member")
	return its, broken
}

// guarded keeps a panic from ending the writer, on which all others wait.
func guarded(do func(*tx) error, t *tx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in a write: %v", p)
		}
	}()
	return do(t)
}
