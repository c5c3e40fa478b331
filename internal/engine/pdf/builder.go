package pdf

// builder collects the letters of a page into words, and words into lines.
type builder struct {
	reader *reader
	sheet  *sheet
	text   uint64 // PDFium's text page
	frame  frame
	line   line
	word   word
	first  int // indices of the word's first and last letters
	last   int
}

// letter adds the i-th character.
func (b *builder) letter(i int, c rune) {
	r := b.reader
	if len(b.word.text) == 0 {
		b.first = i
	}
	b.last = i
	r.runes = append(r.runes, c)
	b.word.text = r.runes[len(r.runes)-len(b.word.text)-1:]
}

// endWord ends a word, if there is one, and keeps it if it stands on the visible page. Its box is that of its first and last
// letters.
func (b *builder) endWord() {
	w := b.word
	if len(w.text) == 0 {
		return
	}
	b.word = word{}
	at, ok := b.box(b.first)
	if !ok {
		return
	}
	w.box = at
	if b.last != b.first {
		if at, ok := b.box(b.last); ok {
			w.box.add(at)
		}
	}
	if w.x0 < 0 || w.y0 < 0 || w.x1 > b.frame.width || w.y1 > b.frame.height {
		if w, ok = b.clip(w); !ok {
			return
		}
	}
	w.style = b.reader.style(b.text, b.first)
	if len(b.line.words) == 0 {
		b.line.box = w.box
	} else {
		b.line.box.add(w.box)
	}
	b.line.words = append(b.line.words, w)
}

// clip takes away the letters that stand outside of the visible page; ok is false if none is left.
func (b *builder) clip(w word) (_ word, ok bool) {
	known := b.last-b.first+1 == len(w.text) // else some letters could not be read, and which is which is unknown
	var kept []rune
	for i := b.first; i <= b.last; i++ {
		at, ok := b.box(i)
		if !ok || at.x1 <= 0 || at.y1 <= 0 || at.x0 >= b.frame.width || at.y0 >= b.frame.height {
			continue
		}
		if !known {
			return w, true
		}
		if kept == nil {
			w.box = at
		} else {
			w.box.add(at)
		}
		kept = append(kept, w.text[i-b.first])
	}
	w.text = kept
	return w, len(kept) > 0
}

// box is where the i-th character stands.
func (b *builder) box(i int) (box, bool) {
	d := b.reader.d
	if d.callFn(b.reader.charBox, b.text, uint64(i), d.at(0)) == 0 {
		return box{}, false
	}
	at := b.frame.place(d.f32(0), d.f32(1), d.f32(2), d.f32(3))
	sum := at.x0 + at.y0 + at.x1 + at.y1
	return at, sum-sum == 0 // a number, and finite
}

func (b *builder) endLine(hyphened bool) {
	b.endWord()
	if len(b.line.words) == 0 {
		return
	}
	l := b.line
	b.line = line{}
	l.face = l.words[0].style.face
	l.mono = l.face.mono && l.words[len(l.words)-1].style.face.mono
	l.size = dominant(l.words)
	l.hyphened = hyphened
	l.dropLeaders()
	if n := len(b.sheet.lines); n > 0 && b.sheet.lines[n-1].takes(&l) {
		return
	}
	b.sheet.lines = append(b.sheet.lines, l)
}

// takes appends o to l if it is the rest of the same printed line: PDFium begins a new line after a superscript.
func (l *line) takes(o *line) bool {
	small := min(l.height(), o.height())
	overlap := min(l.y1, o.y1) - max(l.y0, o.y0)
	gap := o.x0 - l.x1
	em := max(l.size, o.size)
	if overlap < 0.5*small || gap < -0.3*em || gap > 1.2*em || l.hyphened {
		return false
	}
	o.words[0].glued = gap < 0.12*em
	if l.letters() < o.letters() {
		l.face, l.size = o.face, o.size
	}
	l.mono = l.mono && o.mono
	l.hyphened = o.hyphened
	l.box.add(o.box)
	l.words = append(l.words, o.words...)
	return true
}

// fewestLeaders is how many dots in a row lead to a page number; three are an ellipsis.
const fewestLeaders = 4

// dropLeaders takes away the dots that lead to a page number.
func (l *line) dropLeaders() {
	n := 0
	for i := range l.words {
		for _, r := range l.words[i].text {
			if r == '.' {
				n++
			}
		}
	}
	if n < fewestLeaders {
		return
	}
	words := l.words[:0:0]
	n = 0
	for _, w := range l.words {
		from, to := longestDots(w.text)
		if to-from == len(w.text) {
			n += to - from
			continue
		}
		if to-from < fewestLeaders {
			words = append(words, w)
			continue
		}
		n += to - from
		words = append(words, w.parts(from, to)...)
	}
	if n < fewestLeaders || len(words) == 0 {
		return
	}
	l.words = words
	l.leaders = true
}

// longestDots is where the longest run of dots in text is.
func longestDots(text []rune) (from, to int) {
	start := 0
	for i, r := range text {
		if r != '.' {
			start = i + 1
		} else if i+1-start > to-from {
			from, to = start, i+1
		}
	}
	return from, to
}

// parts are what is left of a word without its letters in [from, to). Their boxes are guessed by their lengths.
func (w word) parts(from, to int) []word {
	var parts []word
	at := func(i int) float32 { return w.x0 + (w.x1-w.x0)*float32(i)/float32(len(w.text)) }
	if from > 0 {
		left := w
		left.text, left.x1 = w.text[:from], at(from)
		parts = append(parts, left)
	}
	if to < len(w.text) {
		right := w
		right.text, right.x0, right.glued = w.text[to:], at(to), false
		parts = append(parts, right)
	}
	return parts
}

// dominant is the font size that most letters have.
func dominant(words []word) float32 {
	best, most := float32(0), 0
	for i, w := range words {
		if i > 0 && w.style.size == best {
			continue
		}
		n := 0
		for _, o := range words {
			if o.style.size == w.style.size {
				n += len(o.text)
			}
		}
		if n > most {
			best, most = w.style.size, n
		}
	}
	return best
}
