package pdf

import (
	"encoding/binary"
	"math"
	"regexp"
	"unicode"
	"unicode/utf16"

	"github.com/tetratelabs/wazero/api"
)

// sheet is a page as PDFium gives it: lines of words in the order of the page's stream.
type sheet struct {
	number        int // 1-based
	width, height float32
	lines         []line
	problem       string
	blank         bool // nothing is drawn on it
}

// box is a rectangle in points from the top left corner of the visible page.
type box struct{ x0, y0, x1, y1 float32 }

func (b *box) add(o box) {
	b.x0, b.y0, b.x1, b.y1 = min(b.x0, o.x0), min(b.y0, o.y0), max(b.x1, o.x1), max(b.y1, o.y1)
}

func (b box) height() float32 { return b.y1 - b.y0 }

// line is a run of words on one base line.
type line struct {
	box
	words    []word
	size     float32 // font size of most of its letters, points
	face     face    // of its first letter
	mono     bool    // its first and its last letter have a fixed pitch: most likely program text
	leaders  bool    // dots led to a page number: an entry of a table of contents
	running  bool    // it stands on other pages too, and is all that stands on this one
	hyphened bool    // its last word goes on in the next line; the hyphen itself is the word's last character
}

type word struct {
	box
	text  []rune
	style style
	glued bool // no space before it
}

func (l *line) letters() int {
	n := 0
	for _, w := range l.words {
		n += len(w.text)
	}
	return n
}

// reader reads the pages of one document, with PDFium's functions looked up once.
type reader struct {
	d                                   *document
	unicode, charBox, fontSize, matrix  api.Function
	font, loadPage, loadText, closeText api.Function
	runes                               []rune // of the page; words are slices of it
	faces                               map[string]face
	object                              api.Function
	last                                style
}

func newReader(d *document) *reader {
	f := d.impl.Fn
	return &reader{
		d: d, unicode: f("FPDFText_GetUnicode"), charBox: f("FPDFText_GetLooseCharBox"), fontSize: f("FPDFText_GetFontSize"),
		matrix: f("FPDFText_GetMatrix"), font: f("FPDFText_GetFontInfo"), object: f("FPDFText_GetTextObject"), faces: map[string]face{},
		loadPage: f("FPDF_LoadPage"), loadText: f("FPDFText_LoadPage"), closeText: f("FPDFText_ClosePage"),
	}
}

// frame maps PDFium's page space onto the visible page.
type frame struct {
	visible       [4]float32 // left, top, right, bottom in page space
	turns         int        // quarter turns clockwise
	width, height float32    // as seen
}

func (f frame) place(l, t, r, b float32) box {
	v := f.visible
	switch f.turns {
	case 1:
		return box{b - v[3], l - v[0], t - v[3], r - v[0]}
	case 2:
		return box{v[2] - r, b - v[3], v[2] - l, t - v[3]}
	case 3:
		return box{v[1] - t, v[2] - r, v[1] - b, v[2] - l}
	}
	return box{l - v[0], v[1] - t, r - v[0], v[1] - b}
}

// page reads page n, counted from 1.
func (r *reader) page(n int) sheet {
	s := sheet{number: n}
	d := r.d
	r.last = style{}
	page := d.callFn(r.loadPage, d.handle, uint64(n-1))
	if page == 0 {
		s.problem = "bad_page"
		return s
	}
	defer d.call("FPDF_ClosePage", page)
	f := d.frame(page)
	s.width, s.height = f.width, f.height
	text := d.callFn(r.loadText, page)
	if text == 0 {
		s.problem = "bad_page"
		return s
	}
	defer d.callFn(r.closeText, text)
	r.read(&s, text, f)
	s.blank = len(s.lines) == 0 && d.call("FPDFPage_CountObjects", page) == 0
	return s
}

func (d *document) frame(page uint64) frame {
	f := frame{turns: int(d.call("FPDFPage_GetRotation", page)) & 3}
	f.width, f.height = d.float("FPDF_GetPageWidthF", page), d.float("FPDF_GetPageHeightF", page)
	if d.call("FPDF_GetPageBoundingBox", page, d.at(0)) != 0 {
		f.visible = [4]float32{d.f32(0), d.f32(1), d.f32(2), d.f32(3)}
	} else {
		w, h := f.width, f.height
		if f.turns&1 == 1 {
			w, h = h, w
		}
		f.visible = [4]float32{0, h, w, 0}
	}
	return f
}

// The marks by which PDFium tells that a word goes on in the next line.
const (
	hyphenMark    = 0x02
	hyphenMarkBig = 0xFFFE
	softHyphen    = 0xAD
)

// read splits the characters of a text page into words and lines.
func (r *reader) read(s *sheet, text uint64, f frame) {
	letters := r.letters(text)
	r.runes = make([]rune, 0, len(letters))
	b := builder{reader: r, sheet: s, text: text, frame: f}
	unread := 0
	for i, c := range letters {
		switch {
		case c == '\n' || c == '\r':
			b.endLine(false)
			continue
		case c == hyphenMark || c == hyphenMarkBig:
			b.letter(i, '-')
			b.endLine(true)
			continue
		case unicode.IsSpace(c):
			b.endWord()
			continue
		}
		if c = readable(c); c < 0 {
			unread++
			continue
		}
		b.letter(i, c)
	}
	b.endLine(false)
	if unread*10 > len(letters)*3 {
		s.problem = "bad_unicode_map"
	}
}

// letters gives the characters of a text page. A call into the guest costs more than most of what PDFium does in it, so
// they come in one, unless some character is not one unit of UTF-16 and the numbering would not fit.
func (r *reader) letters(text uint64) []rune {
	d := r.d
	count := int(int32(d.call("FPDFText_CountChars", text)))
	if count <= 0 || d.err != nil {
		return nil
	}
	letters := make([]rune, count)
	buf := d.call("malloc", uint64(2*count+2))
	if buf == 0 {
		return nil
	}
	defer d.call("free", buf)
	written := int(int32(d.call("FPDFText_GetText", text, 0, uint64(count), buf)))
	units, ok := d.mem.Read(uint32(buf), uint32(2*count))
	fits := ok && d.err == nil && written == count+1
	for i := 0; i < count && fits; i++ {
		letters[i] = rune(units[2*i]) | rune(units[2*i+1])<<8
		fits = !utf16.IsSurrogate(letters[i])
	}
	for i := 0; i < count && !fits; i++ {
		letters[i] = rune(uint32(d.callFn(r.unicode, text, uint64(i))))
	}
	return letters
}

// readable gives the letter that stands for c in text, or -1 if nothing does: control characters and private places of
// maths fonts have no meaning outside of their font.
func readable(c rune) rune {
	switch {
	case c == 0xF0B7 || c == 0xF0A7 || c == 0xF076:
		return '•'
	case c < ' ' || c >= 0x7f && c < 0xa0 || c == unicode.ReplacementChar || c == 0xFFFF || c == 0xFEFF || c > unicode.MaxRune,
		c >= 0xE000 && c < 0xF900, c >= 0xF0000, c >= 0xD800 && c < 0xE000:
		return -1
	}
	return c
}

// face is what a font's name and flags say of it.
type face struct{ bold, mono bool }

var (
	boldName = regexp.MustCompile(`(?i)bold|black|heavy|demi|cmbx|sfbx|cmssbx|-medi`)
	monoName = regexp.MustCompile(`(?i)mono|courier|cmtt|cmsltt|cmitt|sftt|consol|typewriter|menlo`)
)

// style is what the letters of one text object have in common.
type style struct {
	object uint64
	size   float32 // as printed, in points: fonts of size 1 with a large matrix are common
	face   face
}

// style looks at the i-th character, unless it belongs to the same text object as the last that was looked at.
func (r *reader) style(text uint64, i int) style {
	d := r.d
	object := d.callFn(r.object, text, uint64(i))
	if object == r.last.object && object != 0 {
		return r.last
	}
	size := math.Float64frombits(d.callFn(r.fontSize, text, uint64(i)))
	if d.callFn(r.matrix, text, uint64(i), d.at(0)) != 0 {
		size *= math.Hypot(float64(d.f32(2)), float64(d.f32(3)))
	}
	if math.IsNaN(size) || size > 1000 {
		size = 0
	}
	r.last = style{object: object, size: float32(size), face: r.face(text, i)}
	return r.last
}

// face looks at the font of the i-th character.
func (r *reader) face(text uint64, i int) face {
	const longest = scratchSize - 8
	d := r.d
	n := d.callFn(r.font, text, uint64(i), d.at(1), longest, d.at(0))
	if n == 0 || n > longest {
		return face{}
	}
	b, _ := d.mem.Read(d.scratch, 8+uint32(n))
	if known, ok := r.faces[string(b)]; ok {
		return known
	}
	const fixedPitch, forceBold = 1, 1 << 18
	flags := binary.LittleEndian.Uint32(b)
	name := b[8:]
	found := face{bold: flags&forceBold != 0 || boldName.Match(name), mono: flags&fixedPitch != 0 || monoName.Match(name)}
	r.faces[string(b)] = found
	return found
}
