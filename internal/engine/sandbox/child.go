package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"byline/internal/engine/extract"
	"byline/internal/engine/html"
	"byline/internal/engine/pdf"
	"byline/internal/engine/priority"
	"byline/internal/fault"
)

// Subcommand is the hidden argument that makes our program an extractor.
const Subcommand = "extractor"

// socketFD is the descriptor under which the child finds its end of the socket pair.
const socketFD = 3

// Child is the life of an extractor: it serves its parent's requests one after the other until the parent hangs up, and
// gives the exit code of the process.
func Child() int {
	priority.Lower()
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "extractor:", err)
		return 1
	}
	return 0
}

// child serves requests from conn.
type child struct {
	conn    *net.UnixConn
	setup   setup
	library *pdf.Library
	out     []byte // the frame being made
}

func serve() error {
	f := os.NewFile(socketFD, "parent")
	if f == nil {
		return errors.New("this command is started by byline itself, not by hand")
	}
	c, err := net.FileConn(f)
	if err != nil {
		return fmt.Errorf("this command is started by byline itself, not by hand: %w", err)
	}
	conn, ok := c.(*net.UnixConn)
	if err := errors.Join(f.Close(), err); err != nil || !ok {
		return fmt.Errorf("take over the socket: %v", err)
	}
	s := &child{conn: conn}
	defer conn.Close()
	return s.loop(context.Background())
}

func (c *child) loop(ctx context.Context) error {
	in := &receiver{conn: c.conn}
	var buf bytes.Buffer
	for {
		kind, payload, err := readFrame(in, &buf)
		if err == io.EOF {
			return c.close(ctx)
		}
		if err != nil {
			return fmt.Errorf("read request: %w", err)
		}
		switch kind {
		case frameSetup:
			err = json.Unmarshal(payload, &c.setup)
		case frameRequest:
			var q request
			if err = json.Unmarshal(payload, &q); err == nil {
				err = c.answer(ctx, q, in.take())
			}
		default:
			err = errFrame
		}
		if err != nil {
			return err
		}
	}
}

func (c *child) close(ctx context.Context) error {
	if c.library == nil {
		return nil
	}
	return c.library.Close(ctx)
}

// answer serves one request. An error ends the child; what is wrong with a document goes to the parent.
func (c *child) answer(ctx context.Context, q request, f *os.File) error {
	if f != nil {
		defer f.Close()
	}
	err := c.work(ctx, q, f)
	if lost, ok := errors.AsType[*lostParent](err); ok {
		return lost
	}
	if err != nil {
		return c.sendJSON(frameFault, failed(err))
	}
	return c.send(frameDone, nil)
}

func (c *child) work(ctx context.Context, q request, f *os.File) error {
	if q.Verb == verbExtract && q.Format == string(extract.HTML) {
		return c.page(q, f)
	}
	if c.library == nil {
		library, err := pdf.Open(ctx, pdf.Options{CacheDir: c.setup.CacheDir, Memory: c.setup.Memory})
		if err != nil {
			return err
		}
		c.library = library
	}
	if err := c.send(frameReady, nil); err != nil {
		return err
	}
	if q.Verb == verbWarm {
		return nil
	}
	if f == nil {
		return errors.New("the document's descriptor did not arrive")
	}
	src := io.NewSectionReader(f, 0, q.Size) // the descriptor's own position is shared with the parent
	switch q.Verb {
	case verbExtract:
		if q.Format != string(extract.PDF) {
			return fault.New(fault.Invalid, "unsupported_type", "Documents of the format %q cannot be read.", q.Format)
		}
		return c.library.Extract(ctx, src, q.Size, c.setup.Pages, (*childSink)(c))
	case verbRender:
		img, err := c.library.Render(ctx, src, q.Size, q.Page, q.DPI)
		if err != nil {
			return err
		}
		return c.send(frameImage, img)
	}
	return errFrame
}

// page reads a page of HTML, for which nothing has to be loaded.
func (c *child) page(q request, f *os.File) error {
	if err := c.send(frameReady, nil); err != nil {
		return err
	}
	if f == nil {
		return errors.New("the document's descriptor did not arrive")
	}
	b, err := io.ReadAll(io.NewSectionReader(f, 0, min(q.Size, html.MaxSize+1)))
	if err != nil {
		return fmt.Errorf("read document's bytes: %w", err)
	}
	return html.Extract(b, (*childSink)(c))
}

// childSink sends what the extractor gives.
type childSink child

func (s *childSink) Begin(i extract.Info) error { return (*child)(s).sendJSON(frameBegin, i) }

func (s *childSink) Part(p extract.Part) error {
	b, err := appendPart(startFrame(s.out, framePart), p)
	if err != nil {
		return err
	}
	s.out = b
	return (*child)(s).write(b)
}

// lostParent is an error of the socket: nobody is there to hear anything else.
type lostParent struct{ error }

func (c *child) send(kind frameKind, payload []byte) error {
	c.out = append(startFrame(c.out, kind), payload...)
	return c.write(c.out)
}

func (c *child) sendJSON(kind frameKind, v any) error {
	payload, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode frame: %w", err)
	}
	return c.send(kind, payload)
}

func (c *child) write(frame []byte) error {
	b, err := finishFrame(frame)
	if err != nil {
		return err
	}
	if _, err := c.conn.Write(b); err != nil {
		return &lostParent{err}
	}
	return nil
}
