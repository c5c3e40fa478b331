package pdf

import (
	"context"
	"errors"
	"io"
	"strings"
	"unicode/utf16"

	"byline/internal/engine/extract"
	"byline/internal/fault"
)

// The ways in which a document can be refused.
var (
	ErrPassword = fault.New(fault.Invalid, "password_required", "This PDF is protected by a password. Save a copy without the password and upload that.")
	ErrBroken   = fault.New(fault.Invalid, "broken_document", "This PDF is damaged and cannot be read. Open it in a PDF viewer, print or save it as a new PDF, and upload that.")
	ErrMemory   = fault.New(fault.Invalid, "out_of_memory", "This PDF needs more memory than one document may have. Split it, or save it with smaller images, and upload the parts.")
	// ErrUnreadable is of a document without text of which some pages could not even be looked at.
	ErrUnreadable  = fault.New(fault.Invalid, "unreadable_pages", "There is no text in this PDF that can be read, and some of its pages are damaged. Open it in a PDF viewer, print or save it as a new PDF, and upload that.")
	ErrMeaningless = fault.New(fault.Invalid, "unreadable_font", "The fonts of this PDF do not say which letters they show, so its text cannot be read. Print or save it as a new PDF from the program that made it, or upload the text itself.")
	// ErrBlank is of a document with nothing on any page.
	ErrBlank  = fault.New(fault.Invalid, "empty_text", "There is nothing on the pages of this PDF: no text and no pictures. Check that it is the right file.")
	ErrNoPage = fault.New(fault.NotFound, "page_not_found", "There is no such page in this document.")
)

// PDFium's error codes that are not about damage.
const (
	errPassword = 4
	errSecurity = 5
)

// document is an open PDF in its own instance.
type document struct {
	*instance
	handle uint64
	pages  int
}

// open reads the document's structure; size is in bytes.
func (l *Library) open(ctx context.Context, src io.ReadSeeker, size int64) (*document, error) {
	in, err := l.instance(ctx)
	if err != nil {
		return nil, err
	}
	d := &document{instance: in}
	if err := d.load(src, size); err != nil {
		return nil, errors.Join(err, in.close())
	}
	return d, nil
}

func (d *document) load(src io.ReadSeeker, size int64) error {
	if size <= 0 || size > 1<<32-1 {
		return ErrBroken
	}
	access, _, err := d.impl.CreateFileAccessReader(size, src)
	if err != nil {
		return d.trapped(err)
	}
	d.handle = d.call("FPDF_LoadCustomDocument", *access, 0)
	if d.err != nil {
		return d.trapped(d.err)
	}
	if d.handle == 0 {
		switch d.call("FPDF_GetLastError") {
		case errPassword, errSecurity:
			return ErrPassword
		}
		return ErrBroken
	}
	d.pages = int(int32(d.call("FPDF_GetPageCount", d.handle)))
	if d.err != nil {
		return d.trapped(d.err)
	}
	if d.pages <= 0 {
		return ErrBroken
	}
	return nil
}

// trapped says what it means that the guest stopped: out of memory if it could not grow by a third more (it asks for much at
// once when it unpacks), broken otherwise.
func (d *document) trapped(err error) error {
	if _, ok := d.mem.Grow(d.mem.Size() / wasmPage / 3); !ok {
		return ErrMemory.Because(err)
	}
	return ErrBroken.Because(err)
}

// Extract reads a document of size bytes and gives the sink one part per page, in order. More than maxPages pages are
// refused; 0 allows any number. A page that cannot be read is a part with a problem, and the others go on.
func (l *Library) Extract(ctx context.Context, src io.ReadSeeker, size int64, maxPages int, sink extract.Sink) (err error) {
	d, err := l.open(ctx, src, size)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	if maxPages > 0 && d.pages > maxPages {
		return fault.New(fault.Invalid, "too_many_pages", "This PDF has %d pages; at most %d are allowed. Split it and upload the parts.", d.pages, maxPages)
	}
	if err := sink.Begin(extract.Info{Title: d.title(), Pages: d.pages}); err != nil {
		return err
	}
	r := newReader(d)
	c := newComposer(sink)
	var v verdict
	for n, traps := 1, 0; n <= d.pages; n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		s := r.page(n)
		if d.err != nil { // this instance is of no use any more, but the next may be
			if traps++; traps > maxTraps {
				return d.trapped(d.err)
			}
			v.memory = v.memory || errors.Is(d.trapped(d.err), ErrMemory)
			s = sheet{number: n, width: s.width, height: s.height, problem: "bad_page"}
			if err := d.reopen(l, src, size); err != nil {
				return err
			}
			r = newReader(d)
		}
		v.add(s)
		if err := c.add(s); err != nil {
			return err
		}
	}
	if err := v.refusal(); err != nil {
		return err
	}
	return c.flush()
}

// verdict is what the pages of a document say about it as a whole.
type verdict struct {
	text   bool // some page has words
	bad    bool // some page could not be read
	memory bool // one of those needs more memory than there may be
	odd    bool // the letters of some page mean nothing
	drawn  bool // there is something on some page
}

func (v *verdict) add(s sheet) {
	v.text = v.text || s.readable()
	v.bad = v.bad || s.problem == "bad_page"
	v.drawn = v.drawn || !s.blank
	v.odd = v.odd || s.problem == "bad_unicode_map"
}

// readable tells whether a page has words.
func (s *sheet) readable() bool {
	for _, l := range s.lines {
		for _, w := range l.words {
			if extract.HasText(string(w.text)) {
				return true
			}
		}
	}
	return false
}

// refusal is why a document without a word cannot be taken, if it is not that there is nothing but pictures.
func (v *verdict) refusal() error {
	switch {
	case v.text:
		return nil
	case v.memory:
		return ErrMemory
	case v.bad:
		return ErrUnreadable
	case v.odd:
		return ErrMeaningless
	case !v.drawn:
		return ErrBlank
	}
	return nil
}

// maxTraps is how many pages of one document may break PDFium before the whole is given up.
const maxTraps = 16

// reopen opens the document again in a fresh instance.
func (d *document) reopen(l *Library, src io.ReadSeeker, size int64) error {
	pages, trap := d.pages, d.trapped(d.err)
	if err := d.close(); err != nil {
		return err
	}
	fresh, err := l.open(d.ctx, src, size)
	if err != nil {
		return errors.Join(trap, err)
	}
	*d = *fresh
	if d.pages != pages {
		return ErrBroken
	}
	return nil
}

// title is the title from the document's metadata, if it says anything: many programs put a file name there.
func (d *document) title() string {
	name := d.cstring("Title")
	defer d.call("free", name)
	size := d.call("FPDF_GetMetaText", d.handle, name, 0, 0)
	if size <= 2 || size > 4096 {
		return ""
	}
	buf := d.call("malloc", size)
	defer d.call("free", buf)
	d.call("FPDF_GetMetaText", d.handle, name, buf, size)
	b, ok := d.mem.Read(uint32(buf), uint32(size-2))
	if !ok || d.err != nil {
		return ""
	}
	u := make([]uint16, len(b)/2)
	for i := range u {
		u[i] = uint16(b[2*i]) | uint16(b[2*i+1])<<8
	}
	title := strings.Join(strings.Fields(extract.Normalize(string(utf16.Decode(u)))), " ")
	if !extract.HasText(title) || strings.EqualFold(title, "untitled") || hasFileEnding(title) {
		return ""
	}
	return title
}

// hasFileEnding tells the names of sources that word processors and TeX leave as titles.
func hasFileEnding(title string) bool {
	for _, ending := range []string{".doc", ".docx", ".dvi", ".tex", ".pdf", ".indd", ".qxd", ".rtf", ".odt", ".ps", ".pptx", ".ppt"} {
		if strings.HasSuffix(strings.ToLower(title), ending) {
			return true
		}
	}
	return false
}

func (d *document) cstring(s string) uint64 {
	p := d.call("malloc", uint64(len(s)+1))
	d.mem.Write(uint32(p), append([]byte(s), 0))
	return p
}
