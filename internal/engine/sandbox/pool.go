// Package sandbox runs the extractors of hostile bytes in processes of their own, which are limited, watched and killed.
package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"byline/internal/engine/extract"
	"byline/internal/engine/pdf"
	"byline/internal/fault"
)

// Limits hold for one document.
type Limits struct {
	Memory int64         // WebAssembly memory, in bytes
	Pages  int           // more are refused
	Stall  time.Duration // the longest time without progress
}

// Options say how extractors are run.
type Options struct {
	Command  []string // starts our program as an extractor: its path, Subcommand
	CacheDir string   // for compiled code
	Log      *slog.Logger
	Workers  int           // the most extractors at a time
	Idle     time.Duration // how long a warm extractor waits for its next document; 0 is DefaultIdle
	Limits   Limits
}

// DefaultIdle is how long a warm extractor waits for its next document.
const DefaultIdle = 10 * time.Second

// A child without progress is killed after patience, and patiencePerPage for every page of the document, at most
// Limits.Stall.
const (
	patience        = 30 * time.Second
	patiencePerPage = time.Second
)

// Pool lends extractors to documents. Processes start when they are needed, and leave when they idle.
type Pool struct {
	o     Options
	slots chan struct{}
	all   sync.WaitGroup // the reapers of the processes

	mu     sync.Mutex
	idle   []*process
	live   map[*process]struct{}
	closed bool
}

// New makes a pool; it starts nothing.
func New(o Options) *Pool {
	o.Workers = max(o.Workers, 1)
	if o.Limits.Stall <= 0 {
		o.Limits.Stall = 2 * time.Minute
	}
	if o.Limits.Memory <= 0 {
		o.Limits.Memory = pdf.DefaultMemory
	}
	if o.Idle <= 0 {
		o.Idle = DefaultIdle
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Pool{o: o, slots: make(chan struct{}, o.Workers), live: map[*process]struct{}{}}
}

// What can happen to a child. None of it gets better by trying again with the same document.
var (
	errTimeout = fault.New(fault.Invalid, "extract_timeout", "Reading this document took too long and was stopped. Save it anew, or split it, and upload that.")
	errCrashed = fault.New(fault.Invalid, "extractor_crashed", "This document could not be read: the extractor failed on it. Save it anew and upload that.")
	errMemory  = fault.New(fault.Invalid, "out_of_memory", "This document needs more memory than there is for one. Split it, and upload the parts.")
	errClosed  = fault.New(fault.Unavailable, "shutting_down", "The server is shutting down. Try again in a moment.")
)

// Extract reads the document in f, which must be open for reading only, and gives its parts to the sink as they come.
func (p *Pool) Extract(ctx context.Context, format string, f *os.File, sink extract.Sink) error {
	return p.document(ctx, request{Verb: verbExtract, Format: format}, f, &receipt{sink: sink})
}

// RenderPage draws a page, counted from 1, of the PDF in f as PNG at dpi dots per inch.
func (p *Pool) RenderPage(ctx context.Context, f *os.File, page, dpi int) ([]byte, error) {
	var r receipt
	if err := p.document(ctx, request{Verb: verbRender, Page: page, DPI: dpi}, f, &r); err != nil {
		return nil, err
	}
	return r.image, nil
}

func (p *Pool) document(ctx context.Context, q request, f *os.File, r *receipt) error {
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("look at document: %w", err)
	}
	q.Size = info.Size()
	return p.do(ctx, q, f, r)
}

// Warm compiles the extractors, so that the first document need not wait for it.
func (p *Pool) Warm(ctx context.Context) error {
	return p.do(ctx, request{Verb: verbWarm}, nil, &receipt{})
}

// Close ends all extractors, busy ones too, and waits for their end.
func (p *Pool) Close() error {
	p.mu.Lock()
	p.closed = true
	for _, c := range p.idle {
		c.idle.Stop()
	}
	p.idle = nil
	for c := range p.live {
		c.kill()
	}
	p.mu.Unlock()
	p.all.Wait()
	return nil
}

// do runs one request on an extractor of its own.
func (p *Pool) do(ctx context.Context, q request, f *os.File, r *receipt) error {
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	c, err := p.borrow()
	if err != nil {
		return err
	}
	err = c.run(ctx, q, f, r, p.o.Limits.Stall)
	if c.good {
		p.giveBack(c)
		return err
	}
	c.end(errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE))
	p.forget(c)
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return p.explain(c, err)
}

// explain turns the end of a process into a fault.
func (p *Pool) explain(c *process, err error) error {
	p.mu.Lock()
	closed := p.closed
	p.mu.Unlock()
	var sinkFailed *sinkError
	switch {
	case errors.As(err, &sinkFailed):
		return sinkFailed.error
	case closed:
		return errClosed.Because(err)
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = errTimeout.Because(fmt.Errorf("no progress: %w", err))
	case c.starved:
		err = errMemory.Because(fmt.Errorf("extractor was killed: %v", c.state))
	default:
		err = errCrashed.Because(fmt.Errorf("%w (%v): %s", err, c.state, c.stderr.tail()))
	}
	p.o.Log.Warn("extractor ended", "error", err)
	return err
}

// borrow gives an idle extractor or a new one.
func (p *Pool) borrow() (*process, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errClosed
	}
	for len(p.idle) > 0 {
		c := p.idle[len(p.idle)-1]
		p.idle = p.idle[:len(p.idle)-1]
		if c.idle.Stop() && c.alive() {
			c.good = false
			return c, nil
		}
	}
	c, err := start(p.o.Command, setup{CacheDir: p.o.CacheDir, Memory: p.o.Limits.Memory, Pages: p.o.Limits.Pages})
	if err != nil {
		return nil, fmt.Errorf("start extractor: %w", err)
	}
	p.live[c] = struct{}{}
	p.all.Go(func() {
		<-c.done
		p.forget(c)
	})
	return c, nil
}

// forget lets go of a process that has ended.
func (p *Pool) forget(c *process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.live, c)
	p.idle = slices.DeleteFunc(p.idle, func(i *process) bool { return i == c })
}

func (p *Pool) giveBack(c *process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		c.kill()
		return
	}
	c.idle = time.AfterFunc(p.o.Idle, c.hangUp)
	p.idle = append(p.idle, c)
}

// receipt takes what a child sends for one request.
type receipt struct {
	sink  extract.Sink
	image []byte
	begun bool
	pages int // 0 where the format has none
}

// sinkError is an error of the caller's sink, as opposed to one of the child.
type sinkError struct{ error }

// take takes one frame; done says that it was the last. A fault is the child's last word about the document.
func (r *receipt) take(kind frameKind, payload []byte) (done bool, err error) {
	switch kind {
	case frameReady:
		return false, nil
	case frameBegin:
		var info extract.Info
		if err := json.Unmarshal(payload, &info); err != nil || r.sink == nil || r.begun || info.Pages < 0 {
			return false, errFrame
		}
		r.begun, r.pages = true, info.Pages
		return false, r.caller(r.sink.Begin(info))
	case framePart:
		part, err := decodePart(payload)
		if err != nil || r.sink == nil || !r.begun {
			return false, errFrame
		}
		return false, r.caller(r.sink.Part(part))
	case frameImage:
		r.image = bytes.Clone(payload)
		return false, nil
	case frameFault:
		var f failure
		if err := json.Unmarshal(payload, &f); err != nil {
			return false, errFrame
		}
		return true, f.fault()
	case frameDone:
		return true, nil
	}
	return false, errFrame
}

func (r *receipt) caller(err error) error {
	if err != nil {
		return &sinkError{err}
	}
	return nil
}

// patience is how long the next frame may take.
func (r *receipt) patience(ready bool, stall time.Duration) time.Duration {
	if !ready { // the first of all compiles, which may take long on a busy machine
		return stall
	}
	return min(patience+time.Duration(r.pages)*patiencePerPage, stall)
}

var errHungUp = fmt.Errorf("extractor hung up: %w", io.ErrUnexpectedEOF)
