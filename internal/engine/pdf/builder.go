package pdf

// builder collects the letters of a page into words, and words into lines.
type builder struct {
	reader *reader
	sheet  *sheet
	text   uint64 // PDFium's text page
	line   line
	word   word
	inWord bool
	last   int // index of the last letter
}

// letter adds the i-th character if it stands on the visible page.
func (b *builder) letter(i int, c rune, f frame) {
	r := b.reader
	d := r.d
	if d.callFn(r.charBox, b.text, uint64(i), d.at(0)) == 0 {
		return
	}
	at := f.place(d.f32(0), d.f32(1), d.f32(2), d.f32(3))
	if at.x1 <= 0 || at.y1 <= 0 || at.x0 >= f.width || at.y0 >= f.height || at.x0-at.x0 != 0 {
		return
	}
	if !b.inWord {
		b.inWord = true
		b.word = word{box: at, size: r.size(b.text, i), index: i}
	}
	b.last = i
	r.runes = append(r.runes, c)
	b.word.text = r.runes[len(r.runes)-len(b.word.text)-1:]
	b.word.add(at)
}

func (b *builder) endWord() {
	if !b.inWord {
		return
	}
	b.inWord = false
	if len(b.line.words) == 0 {
		b.line.box = b.word.box
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
	l := b.line
	b.line = line{}
	l.face = b.reader.face(b.text, l.words[0].index)
	l.mono = l.face.mono && (len(l.words) == 1 || b.reader.face(b.text, b.last).mono)
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
