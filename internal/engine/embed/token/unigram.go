package token

import (
	"slices"
	"sync"
	"unicode/utf8"
)

// unigram is SentencePiece's tokenizer: of all ways to cut a word into pieces of the vocabulary, the one with the highest
// sum of scores. Words begin with "▁".
type unigram struct {
	marks
	trie
	scores       []float32 // by id
	unknown      int32
	unknownScore float64 // of a character that is no piece
	longest      int     // piece, in bytes
	charsmap     *charsmap
	compose      bool // the text is brought to NFKC first
	scratch      sync.Pool
}

const wordBegin = "▁"

// unknownPenalty is how far an unknown character is below the worst piece, as SentencePiece has it.
const unknownPenalty = 10

func newUnigram(f *file) (*unigram, error) {
	u := &unigram{scores: f.Model.Vocab.scores}
	if len(u.scores) == 0 {
		return nil, unsupported("its vocabulary is no Unigram one")
	}
	if f.Model.ByteFallback {
		return nil, unsupported("it is Unigram with bytes for what is unknown (byte_fallback)")
	}
	if f.Model.UnknownID == nil || *f.Model.UnknownID < 0 || int(*f.Model.UnknownID) >= len(u.scores) {
		return nil, unsupported("it is Unigram without an unknown token")
	}
	u.unknown = *f.Model.UnknownID
	size, err := f.size()
	if err != nil {
		return nil, err
	}
	for len(u.scores) < size {
		u.scores = append(u.scores, 0) // of added tokens, which no text has
	}
	if u.marks, err = f.marksOf(size); err != nil {
		return nil, err
	}
	if err := u.normalizers(f); err != nil {
		return nil, err
	}
	kept := map[string]bool{}
	for _, a := range f.Added {
		kept[a.Content] = a.Special
	}
	pieces := slices.DeleteFunc(f.Model.Vocab.pieces, func(p piece) bool {
		u.unknownScore = min(u.unknownScore, float64(u.scores[p.id]))
		u.longest = max(u.longest, len(p.text))
		return p.id == u.unknown || kept[p.text]
	})
	u.unknownScore -= unknownPenalty
	u.trie = newTrie(pieces)
	u.scratch.New = func() any { return &lattice{} }
	return u, nil
}

// normalizers reads what becomes of a text before it is cut. Spaces need no reading: words are what is between them.
func (u *unigram) normalizers(f *file) error {
	n, pre := flat(f.Normalizer), flat(f.PreTokenizer)
	for _, c := range n {
		switch {
		case c.Type == "Precompiled" && u.charsmap == nil && !u.compose:
			m, err := newCharsmap(c.Charsmap)
			if err != nil {
				return err
			}
			u.charsmap = m
		case c.Type == "NFKC" && u.charsmap == nil:
			u.compose = true
		case c.Type == "Strip", c.Type == "Replace" && c.Pattern.Regex == " {2,}" && c.Content == " ":
		default:
			return unsupported("it is Unigram with the normalizer %s; Precompiled, NFKC, Strip and the Replace of many spaces by one are supported", names(n))
		}
	}
	pre = slices.DeleteFunc(pre, func(c component) bool { return c.Type == "WhitespaceSplit" })
	if len(pre) != 1 || pre[0].Type != "Metaspace" {
		return unsupported("it is Unigram with the pre-tokenizer %s; Metaspace, and WhitespaceSplit before it, are supported", names(flat(f.PreTokenizer)))
	}
	m := pre[0]
	if m.Replacement != wordBegin || m.Prepend == "never" || m.Prepend == "" && m.AddPrefix != nil && !*m.AddPrefix {
		return unsupported("it is Unigram with words that do not begin with %q", wordBegin)
	}
	return nil
}

// Len meets Tokenizer.
func (u *unigram) Len() int { return len(u.scores) }

// Encode meets Tokenizer.
func (u *unigram) Encode(dst []int32, text string, limit int) (ids []int32, known, letters int) {
	ids, known, letters = u.cut(append(dst, u.before...), text, u.room(limit), true)
	return append(ids, u.after...), known, letters
}

// Pieces meets Tokenizer.
func (u *unigram) Pieces(dst []int32, text string, limit int) (ids []int32, known, letters int) {
	return u.cut(dst, text, max(0, limit), false)
}

// lattice is where the best way through a word is found.
type lattice struct {
	word  []byte    // normalised, with "▁"
	best  []arrival // by place in the word
	steps []arrival // of the best way, from its end
}

// arrival is the best way to a place in the word.
type arrival struct {
	score float64
	from  int32 // where its last piece begins; noWay where none ends here
	id    int32 // of that piece
}

const noWay = -1

func (u *unigram) cut(dst []int32, text string, room int, keep bool) (ids []int32, known, letters int) {
	l := u.scratch.Get().(*lattice)
	defer u.release(l)
	w := words{charsmap: u.charsmap, text: text}
	if u.compose {
		w.compose(text)
	}
	// What is further than this from the begin of a word has no say in its first tokens.
	longest := (min(room, len(text)) + 1) * max(u.longest, utf8.UTFMax)
	for end := len(dst) + room; len(dst) < end; {
		l.word = w.next(append(l.word[:0], wordBegin...), longest)
		if len(l.word) == len(wordBegin) {
			break
		}
		u.arrive(l)
		n := len(l.word)
		for i := len(l.steps) - 1; i >= 0 && len(dst) < end; i-- {
			from, to := int(l.steps[i].from), n
			if i > 0 {
				to = int(l.steps[i-1].from)
			}
			count := countLetters(l.word[from:to])
			letters += count
			if l.steps[i].id != u.unknown {
				known += count
			}
			if keep || l.steps[i].id != u.unknown {
				dst = append(dst, l.steps[i].id)
			}
		}
	}
	return dst, known, letters
}

// release keeps a lattice for the next text, unless it became large.
func (u *unigram) release(l *lattice) {
	if cap(l.word) < 1<<16 {
		u.scratch.Put(l)
	}
}

// arrive finds the best way through the word. Where ways are equal, that with the longer last piece wins. Neighbouring
// unknown characters become one token.
func (u *unigram) arrive(l *lattice) {
	word := l.word
	l.best = slices.Grow(l.best[:0], len(word)+1)[:len(word)+1]
	best := l.best
	for i := range best {
		best[i].from = noWay
	}
	for i := 0; i < len(word); {
		width := 1
		if word[i] >= utf8.RuneSelf {
			_, width = utf8.DecodeRune(word[i:])
		}
		at, single := best[i].score, false
		if i == 0 {
			at = 0
		}
		for n, end := int32(0), i; end < len(word); {
			if n = u.step(n, word[end]); n == 0 {
				break
			}
			end++
			if id := u.trie[n].id; id >= 0 {
				single = single || end == i+width
				if score := at + float64(u.scores[id]); best[end].from == noWay || score > best[end].score {
					best[end] = arrival{score, int32(i), id}
				}
			}
		}
		if score := at + u.unknownScore; !single && (best[i+width].from == noWay || score > best[i+width].score) {
			best[i+width] = arrival{score, int32(i), u.unknown}
		}
		i += width
	}
	l.steps = l.steps[:0]
	for at := len(word); at > 0; at = int(best[at].from) {
		if n := len(l.steps); n > 0 && best[at].id == u.unknown && l.steps[n-1].id == u.unknown {
			l.steps[n-1].from = best[at].from
			continue
		}
		l.steps = append(l.steps, best[at])
	}
}

func countLetters(b []byte) int {
	n := 0
	for len(b) > 0 {
		r, width := rune(b[0]), 1
		if r >= utf8.RuneSelf {
			r, width = utf8.DecodeRune(b)
		}
		if isLetter(r) {
			n++
		}
		b = b[width:]
	}
	return n
}
