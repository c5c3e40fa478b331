// Package pdf reads the text of PDF documents with the place of every word, and draws their pages, by PDFium as WebAssembly.
package pdf

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"

	"github.com/klippa-app/go-pdfium"
	"github.com/klippa-app/go-pdfium/webassembly"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// wasmPage is the unit of WebAssembly memory, in bytes.
const wasmPage = 64 << 10

// DefaultMemory is the most that one document may take of WebAssembly memory, in bytes.
const DefaultMemory = 512 << 20

// Options say how PDFium runs.
type Options struct {
	CacheDir string // keeps the compiled PDFium between processes; compiling anew costs seconds. Empty keeps nothing
	Memory   int64  // limit per document in bytes; 0 is DefaultMemory
}

// Library is PDFium, compiled. Its documents run uncancelled on the caller's goroutine: who reads documents of
// strangers does it in a process that can be killed.
type Library struct {
	pool  pdfium.Pool
	cache wazero.CompilationCache
}

// Open compiles PDFium, or loads what was compiled before. The library is for one document at a time.
func Open(ctx context.Context, o Options) (*Library, error) {
	if o.Memory == 0 {
		o.Memory = DefaultMemory
	}
	l := &Library{}
	config := wazero.NewRuntimeConfig().
		WithCoreFeatures(api.CoreFeaturesV2 | experimental.CoreFeaturesExceptionHandling).
		WithMemoryLimitPages(uint32(min(max(o.Memory/wasmPage, 1), 65536)))
	if o.CacheDir != "" {
		cache, err := wazero.NewCompilationCacheWithDir(o.CacheDir)
		if err != nil {
			return nil, fmt.Errorf("open compilation cache: %w", err)
		}
		l.cache = cache
		config = config.WithCompilationCache(cache)
	}
	pool, err := webassembly.Init(webassembly.Config{
		Context:       withMemory(ctx),
		MaxTotal:      1,
		FSConfig:      wazero.NewFSConfig(), // nothing: the default shows the host's whole file system to the guest
		RuntimeConfig: config,
		Stdout:        io.Discard,
		Stderr:        io.Discard,
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start pdfium: %w", err), l.closeCache(ctx))
	}
	l.pool = pool
	return l, nil
}

// Close frees everything.
func (l *Library) Close(ctx context.Context) error {
	return errors.Join(l.pool.Close(), l.closeCache(ctx))
}

func (l *Library) closeCache(ctx context.Context) error {
	if l.cache == nil {
		return nil
	}
	return l.cache.Close(ctx)
}

// implementation is what the binding's instance can do beyond its interface. Its own calls go through a table of
// handles and make objects for every character; we call PDFium's functions ourselves.
type implementation interface {
	Fn(name string) api.Function
	CreateFileAccessReader(size int64, r io.ReadSeeker) (*uint64, *uint32, error)
}

// instance is one fresh PDFium with its own memory.
type instance struct {
	ctx     context.Context
	binding pdfium.Pdfium
	impl    implementation
	mem     api.Memory
	stack   [16]uint64
	scratch uint32 // of scratchSize bytes in the guest, for results
	err     error  // the first call that failed: a trap, after which this instance is of no use
}

const scratchSize = 264

func (l *Library) instance(ctx context.Context) (*instance, error) {
	binding, err := l.pool.GetInstanceWithContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("start pdfium instance: %w", err)
	}
	in := &instance{ctx: ctx, binding: binding}
	impl, ok := binding.GetImplementation().(implementation)
	if !ok {
		return nil, errors.Join(errors.New("pdfium binding has another form than expected"), in.close())
	}
	in.impl = impl
	// The binding has the module as an exported field of a type that cannot be named from here.
	module, ok := reflect.ValueOf(binding.GetImplementation()).Elem().FieldByName("Module").Interface().(api.Module)
	if !ok {
		return nil, errors.Join(errors.New("pdfium binding has no module"), in.close())
	}
	in.mem = module.Memory()
	in.scratch = uint32(in.call("malloc", scratchSize))
	if in.err != nil {
		return nil, errors.Join(in.err, in.close())
	}
	return in, nil
}

func (in *instance) close() error {
	if err := in.binding.Close(); err != nil && in.err == nil {
		return fmt.Errorf("close pdfium instance: %w", err)
	}
	return nil // a guest that trapped cannot tidy up; its memory is gone with it
}

// call runs a function of PDFium. After a failure it does nothing and gives 0.
func (in *instance) call(name string, args ...uint64) uint64 {
	return in.callFn(in.impl.Fn(name), args...)
}

func (in *instance) callFn(fn api.Function, args ...uint64) uint64 {
	if in.err != nil {
		return 0
	}
	copy(in.stack[:], args)
	if err := fn.CallWithStack(in.ctx, in.stack[:]); err != nil {
		in.err = fmt.Errorf("pdfium: %w", err)
		return 0
	}
	return in.stack[0]
}

func (in *instance) float(name string, args ...uint64) float32 {
	return api.DecodeF32(in.call(name, args...))
}

// f32 reads the i-th float of the scratch area.
func (in *instance) f32(i uint32) float32 {
	v, _ := in.mem.ReadFloat32Le(in.scratch + 4*i)
	return v
}

// at is the guest's address of the i-th 8 bytes of the scratch area.
func (in *instance) at(i uint32) uint64 { return uint64(in.scratch + 8*i) }
