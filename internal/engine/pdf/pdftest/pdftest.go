// Package pdftest writes small PDF documents for tests.
package pdftest

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"strings"
)

// Doc is a PDF document to be. The zero value has no pages.
type Doc struct {
	Title   string
	Deflate bool // compresses the pages
	Locked  bool // asks for a password that nobody knows
	pages   []page
}

type page struct {
	width, height float64
	extra         string // entries of the page's dictionary
	content       []byte
	lost          bool
}

// Page adds an empty A4 page and gives it back to be filled.
func (d *Doc) Page() *Page {
	d.pages = append(d.pages, page{width: 595, height: 842})
	return &Page{doc: d, index: len(d.pages) - 1}
}

// Text adds a page of lines of 11 points, with 14 points from line to line, from the top left.
func (d *Doc) Text(lines ...string) *Page {
	return d.Page().Lines(72, 770, 11, lines...)
}

// Page is a page of a Doc. Coordinates are points from the bottom left corner.
type Page struct {
	doc   *Doc
	index int
}

func (p *Page) self() *page { return &p.doc.pages[p.index] }

// Lines writes lines of a font size from x and y downwards, with a pitch of 1.27 times the size.
func (p *Page) Lines(x, y, size float64, lines ...string) *Page {
	return p.lines("F1", x, y, size, lines)
}

// Bold is Lines in a bold face.
func (p *Page) Bold(x, y, size float64, lines ...string) *Page {
	return p.lines("F2", x, y, size, lines)
}

// Mono is Lines in a face of fixed pitch.
func (p *Page) Mono(x, y, size float64, lines ...string) *Page {
	return p.lines("F3", x, y, size, lines)
}

func (p *Page) lines(font string, x, y, size float64, lines []string) *Page {
	var b strings.Builder
	for i, l := range lines {
		fmt.Fprintf(&b, "BT /%s %g Tf %g %g Td (%s) Tj ET\n", font, size, x, y-float64(i)*size*1.27, escape(l))
	}
	return p.Raw(b.String())
}

// Raw appends drawing instructions.
func (p *Page) Raw(content string) *Page {
	s := p.self()
	s.content = append(s.content, content...)
	return p
}

// With adds entries to the page's dictionary, such as "/Rotate 90".
func (p *Page) With(entries string) *Page {
	p.self().extra += " " + entries
	return p
}

// Lose makes the page one that the document names but does not have.
func (p *Page) Lose() *Page {
	p.self().lost = true
	return p
}

// Picture draws a grey picture of some points' width and height.
func (p *Page) Picture(x, y, width, height float64) *Page {
	return p.Raw(fmt.Sprintf("q %g 0 0 %g %g %g cm BI /W 1 /H 1 /CS /G /BPC 8 ID \x80 EI Q\n", width, height, x, y))
}

// escape writes s as the inside of a string in WinAnsiEncoding.
func escape(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '(' || r == ')' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < 0x80:
			b.WriteRune(r)
		case r == '•':
			b.WriteString(`\225`)
		case r < 0x100:
			fmt.Fprintf(&b, "\\%03o", r)
		}
	}
	return b.String()
}

// Bytes is the document.
func (d *Doc) Bytes() []byte {
	w := &writer{}
	w.b.WriteString("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
	const catalog, info, first = 1, 6, 7
	kids := make([]string, len(d.pages))
	for i := range d.pages {
		kids[i] = fmt.Sprintf("%d 0 R", first+2*i)
	}
	w.object("<< /Type /Catalog /Pages 2 0 R >>")
	w.object(fmt.Sprintf("<< /Type /Pages /Count %d /Kids [%s] >>", len(kids), strings.Join(kids, " ")))
	for _, face := range []string{"Helvetica", "Helvetica-Bold", "Courier"} {
		w.object(fmt.Sprintf("<< /Type /Font /Subtype /Type1 /BaseFont /%s /Encoding /WinAnsiEncoding >>", face))
	}
	w.object(fmt.Sprintf("<< /Title (%s) >>", escape(d.Title)))
	for i, p := range d.pages {
		if p.lost {
			w.object("null")
			w.object("null")
			continue
		}
		w.object(fmt.Sprintf("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %g %g] /Resources << /Font << /F1 3 0 R /F2 4 0 R /F3 5 0 R >> >> /Contents %d 0 R%s >>",
			p.width, p.height, first+2*i+1, p.extra))
		w.stream(p.content, d.Deflate)
	}
	trailer := fmt.Sprintf("/Root %d 0 R /Info %d 0 R", catalog, info)
	if d.Locked {
		no := strings.Repeat("5a", 32) // no password gives this
		trailer += fmt.Sprintf(" /ID [<00> <00>] /Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O <%s> /U <%s> >>", no, no)
	}
	return w.finish(trailer)
}

// writer writes objects one after the other, numbered from 1.
type writer struct {
	b       bytes.Buffer
	offsets []int
}

func (w *writer) object(body string) {
	w.offsets = append(w.offsets, w.b.Len())
	fmt.Fprintf(&w.b, "%d 0 obj\n%s\nendobj\n", len(w.offsets), body)
}

func (w *writer) stream(content []byte, deflate bool) {
	filter := ""
	if deflate {
		content, filter = Deflated(content), " /Filter /FlateDecode"
	}
	w.object(fmt.Sprintf("<< /Length %d%s >>\nstream\n%s\nendstream", len(content), filter, content))
}

// Deflated is content as the FlateDecode filter wants it.
func Deflated(content []byte) []byte {
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	_, _ = z.Write(content) // a buffer never fails
	_ = z.Close()
	return b.Bytes()
}

func (w *writer) finish(trailer string) []byte {
	start := w.b.Len()
	fmt.Fprintf(&w.b, "xref\n0 %d\n0000000000 65535 f \n", len(w.offsets)+1)
	for _, o := range w.offsets {
		fmt.Fprintf(&w.b, "%010d 00000 n \n", o)
	}
	fmt.Fprintf(&w.b, "trailer\n<< /Size %d %s >>\nstartxref\n%d\n%%%%EOF\n", len(w.offsets)+1, trailer, start)
	return w.b.Bytes()
}
