package passhash

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"
)

// Options say how hashers are run.
type Options struct {
	Command []string // starts our program as a hasher: its path, Subcommand; empty: hash in this process
	Log     *slog.Logger
	Workers int           // the most hashers at a time; at least 1
	Idle    time.Duration // how long a hasher stays without work; 0 is 10 seconds
}

// Pool hashes in processes of their own, one password at a time in each. Inside the server a hash costs others more than its
// share of the processors: Go's scheduler interrupts it a hundred times a second and hands it from thread to thread, and
// wherever it lands the system lets it end its time slice, 4 ms, before a request goes on (with 4 clients that log in, the
// 99th percentile of other requests is 7 times as long as without them). A process with one thread for Go code
// stays where it is. It also takes its 19 MiB with it when it leaves. When a process cannot be started, hashes are made here.
type Pool struct {
	o      Options
	places chan *rest // as many as there may be hashers; nil for one that is not started
	failed sync.Once
}

// worker is a hasher.
type worker struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	answers *json.Decoder
}

// rest is a hasher without work. Either somebody takes it or its time is up; the swap of taken decides.
type rest struct {
	*worker
	taken atomic.Bool
	timer *time.Timer
	left  chan struct{} // closed when it left because its time was up
}

// patience is how long a hash may take at most, on a machine that has much else to do.
const patience = 10 * time.Second

// NewPool makes a pool; it starts nothing.
func NewPool(o Options) *Pool {
	if o.Idle == 0 {
		o.Idle = 10 * time.Second
	}
	p := &Pool{o: o, places: make(chan *rest, max(1, o.Workers))}
	for range cap(p.places) {
		p.places <- nil
	}
	return p
}

// Hash makes a password's hash. It waits for a free hasher as long as ctx allows.
func (p *Pool) Hash(ctx context.Context, m Method, password string) (string, error) {
	a, err := p.do(ctx, request{Method: m, Password: password})
	return a.Encoded, err
}

// Check tells whether a password fits a hash. It waits for a free hasher as long as ctx allows.
func (p *Pool) Check(ctx context.Context, encoded, password string) (bool, error) {
	if encoded == "" {
		return false, ErrDamaged
	}
	a, err := p.do(ctx, request{Encoded: encoded, Password: password})
	return a.Fits, err
}

// Close ends the hashers when they have done what they do, and waits for it. The pool cannot be used afterwards.
func (p *Pool) Close() {
	for range cap(p.places) {
		if w := (<-p.places).take(); w != nil {
			w.end()
		}
	}
}

func (p *Pool) do(ctx context.Context, q request) (answer, error) {
	var place *rest
	select {
	case place = <-p.places:
	case <-ctx.Done():
		return answer{}, ctx.Err()
	}
	a, w := p.ask(place.take(), q)
	p.places <- w.rest(p.o.Idle)
	switch {
	case a.Damaged:
		return answer{}, ErrDamaged
	case a.Error != "":
		return answer{}, errors.New(a.Error)
	}
	return a, nil
}

// ask lets a hasher work: w, or a new one when there is none or somebody has killed it, or else this process. It gives the
// hasher that is left.
func (p *Pool) ask(w *worker, q request) (answer, *worker) {
	if w != nil {
		if a, err := w.ask(q); err == nil {
			return a, w
		}
	}
	if len(p.o.Command) == 0 {
		return q.do(), nil
	}
	w, err := start(p.o.Command)
	if err == nil {
		var a answer
		if a, err = w.ask(q); err == nil {
			return a, w
		}
	}
	p.failed.Do(func() { p.o.Log.Warn("no process for password hashes, so they are made in the server's", "error", err) })
	return q.do(), nil
}

func start(command []string) (*worker, error) {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir = "/"
	cmd.Env = []string{"GOMAXPROCS=1"}
	if dir, ok := os.LookupEnv("GOCOVERDIR"); ok {
		cmd.Env = append(cmd.Env, "GOCOVERDIR="+dir)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &worker{cmd: cmd, in: in, answers: json.NewDecoder(out)}, nil
}

// ask gets an answer. A hasher that gives none has ended.
func (w *worker) ask(q request) (a answer, err error) {
	stop := time.AfterFunc(patience, func() { _ = w.cmd.Process.Kill() })
	defer stop.Stop()
	err = json.NewEncoder(w.in).Encode(q)
	if err == nil {
		err = w.answers.Decode(&a)
	}
	if err != nil {
		_ = w.cmd.Process.Kill()
		w.end()
	}
	return a, err
}

// end lets the hasher leave and waits for it: its input ends, and it has nothing to do.
func (w *worker) end() {
	_ = w.in.Close()
	_ = w.cmd.Wait() // how it ended does not matter
}

// rest lets the hasher leave after a while without work.
func (w *worker) rest(idle time.Duration) *rest {
	if w == nil {
		return nil
	}
	r := &rest{worker: w, left: make(chan struct{})}
	r.timer = time.AfterFunc(idle, func() {
		if r.taken.CompareAndSwap(false, true) {
			w.end()
			close(r.left)
		}
	})
	return r
}

// take gets the hasher back from its rest; nil if there is none any more.
func (r *rest) take() *worker {
	if r == nil {
		return nil
	}
	if r.taken.CompareAndSwap(false, true) {
		r.timer.Stop()
		return r.worker
	}
	<-r.left
	return nil
}
