package pdf

import (
	"math"
	"unicode"

	"github.com/tetratelabs/wazero/api"
)

// sheet is a page as PDFium gives it: lines of words in the order of the page's stream.
type sheet struct {
	number        int // 1-based
	width, height float32
	lines         []line
	problem       string
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
	bold     bool
	hyphened bool // its last word goes on in the next line; the hyphen itself is the word's last character
}

type word struct {
	box
	text []rune
	size float32
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
	weight, loadPage, loadText, closeTP api.Function
	runes                               []rune // arenas of a page: words are slices of it
}

func newReader(d *document) *reader {
	f := d.impl.Fn
	return &reader{
		d: d, unicode: f("FPDFText_GetUnicode"), charBox: f("FPDFText_GetLooseCharBox"), fontSize: f("FPDFText_GetFontSize"),
		matrix: f("FPDFText_GetMatrix"), weight: f("FPDFText_GetFontWeight"),
		loadPage: f("FPDF_LoadPage"), loadText: f("FPDFText_LoadPage"), closeTP: f("FPDFText_ClosePage"),
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
	defer d.callFn(r.closeTP, text)
	r.read(&s, text, f)
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
	d := r.d
	count := int(int32(d.call("FPDFText_CountChars", text)))
	r.runes = make([]rune, 0, max(count, 0))
	var b builder
	b.sheet = s
	unread := 0
	for i := 0; i < count && d.err == nil; i++ {
		c := rune(uint32(d.callFn(r.unicode, text, uint64(i))))
		switch {
		case c == '\n' || c == '\r':
			b.endLine(false)
			continue
		case c == hyphenMark || c == hyphenMarkBig:
			r.letter(&b, text, i, '-', f)
			b.endLine(true)
			continue
		case unicode.IsSpace(c):
			b.endWord()
			continue
		}
		c = readable(c)
		if c < 0 {
			unread++
			continue
		}
		r.letter(&b, text, i, c, f)
	}
	b.endLine(false)
	if unread*10 > count*3 {
		s.problem = "bad_unicode_map"
	}
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

// letter adds the i-th character if it stands on the visible page.
func (r *reader) letter(b *builder, text uint64, i int, c rune, f frame) {
	d := r.d
	if d.callFn(r.charBox, text, uint64(i), d.at(0)) == 0 {
		return
	}
	at := f.place(d.f32(0), d.f32(1), d.f32(2), d.f32(3))
	if at.x1 <= 0 || at.y1 <= 0 || at.x0 >= f.width || at.y0 >= f.height {
		return
	}
	if !b.inWord {
		b.startWord(at, r.size(text, i), r.runes)
		if b.fresh {
			b.bold = int32(d.callFn(r.weight, text, uint64(i))) >= 600
			b.fresh = false
		}
	}
	r.runes = append(r.runes, c)
	b.word.text = r.runes[len(r.runes)-len(b.word.text)-1:]
	b.word.add(at)
}

// size is the size of the i-th character as printed, in points: fonts of size 1 with a large matrix are common.
func (r *reader) size(text uint64, i int) float32 {
	d := r.d
	size := math.Float64frombits(d.callFn(r.fontSize, text, uint64(i)))
	if d.callFn(r.matrix, text, uint64(i), d.at(0)) != 0 {
		size *= math.Hypot(float64(d.f32(2)), float64(d.f32(3)))
	}
	if math.IsNaN(size) || size > 1000 {
		return 0
	}
	return float32(size)
}

// builder collects letters into words and words into lines.
type builder struct {
	sheet  *sheet
	line   line
	word   word
	inWord bool
	fresh  bool
	bold   bool
}

func (b *builder) startWord(at box, size float32, _ []rune) {
	b.inWord = true
	b.fresh = len(b.line.words) == 0
	b.word = word{box: at, size: size}
}

func (b *builder) endWord() {
	if !b.inWord {
		return
	}
	b.inWord = false
	if len(b.line.words) == 0 {
		b.line.box = b.word.box
		b.line.bold = b.bold
	} else {
		b.line.box.add(b.word.box)
	}
	b.line.words = append(b.line.words, b.word)
}

func (b *builder) endLine(hyphened bool) {
	b.endWord()
	if len(b.line.words) == 0 {
		return
	}
	b.line.size = dominant(b.line.words)
	b.line.hyphened = hyphened
	b.sheet.lines = append(b.sheet.lines, b.line)
	b.line = line{}
}

// dominant is the font size that most letters have.
func dominant(words []word) float32 {
	best, most := float32(0), 0
	for i, w := range words {
		if i > 0 && w.size == best {
			continue
		}
		n := 0
		for _, o := range words {
			if o.size == w.size {
				n += len(o.text)
			}
		}
		if n > most {
			best, most = w.size, n
		}
	}
	return best
}
