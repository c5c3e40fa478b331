package lexical

import (
	"strings"
	"sync"
	"unicode"
)

// maxWhole is the length in runes of a Korean word or a Chinese name that is also a term as a whole.
const maxWhole = 12

// particles of Korean, which are written at the end of a word without a space, and after them the endings that make a verb of a noun.
var particles = sync.OnceValue(func() map[string]bool {
	set := map[string]bool{}
	for _, p := range strings.Fields(particleList) {
		set[p] = true
	}
	return set
})

const longestParticle = 5 // runes

const particleList = `으로부터 에서부터 이라는 이라고 이라도 이라면 이라서 에게서 로부터 으로서 으로써 께서 에게 에서 한테 까지 부터 마저 조차 처럼 보다 만큼 이나 이란 이며 이고
	라는 라고 라도 으로 로서 로써 와의 과의 에의 로의 에는 에도 에만 와는 과는 로는 로도 만이 만을 만은 하고 들 은 는 이 가 을 를 의 에 로 와 과 도 만 란
	하였습니다 되었습니다 했습니다 됐습니다 합니다 됩니다 입니다 습니다 한다 된다 하는 되는 하다 되다 했다 됐다 하여 되어 해서 돼서 하기 되기 하며 되며 하면 되면 이다 인가요 인가 일까 인지 할 될 한 된`

// koreanStops are words that, without their particles, tell nothing.
var koreanStops = " 그리고 그러나 하지만 그런데 그래서 따라서 또한 또는 혹은 및 이것 그것 저것 무엇 어떤 어떻 어떻게 어디 언제 누구 얼마 얼마나 모든 있는 있다 있습니다 없는 없다 없습니다 대한 대해 위한 위해 통해 때문 경우 "

// stripParticles is the number of runes of a Korean word without its particles, at least least. at[i] is the place of rune i in the word, and of its end.
// Before a particle, another one is taken only if it is longer than one rune, or the plural: 도로 is a road more often than two particles.
func stripParticles(word string, at []int, least int) int {
	n := len(at) - 1
	for round := range 3 {
		m := n
		for k := max(least, n-longestParticle); k < n; k++ {
			if p := word[at[k]:at[n]]; particles()[p] && (round == 0 || n-k > 1 || p == "들") {
				m = k
				break
			}
		}
		if m == n {
			break
		}
		n = m
	}
	return n
}

func isKoreanStop(word string) bool { return strings.Contains(koreanStops, " "+word+" ") }

// grams cuts a run of a script that is found by bigrams.
func (a *analysis) grams(r run) {
	a.prepared = normalize(a.text, r.start, r.end)
	s := lower(a.prepared.s)
	if len(s) != len(a.prepared.s) { // no such script has capitals, but a compatibility form might
		s = a.prepared.s
	}
	g := gramRun{analysis: a, s: s}
	for i, c := range s {
		g.runes, g.at = append(g.runes, c), append(g.at, i)
	}
	g.at = append(g.at, len(s))
	switch {
	case len(g.runes) == 0:
	case r.script == hangul:
		g.korean(a.wordEnd == r.start)
	case r.script == han:
		g.chinese()
	default:
		g.bigrams(0, len(g.runes))
	}
}

// gramRun is a run as runes; at[i] is the place of rune i in s.
type gramRun struct {
	*analysis
	s     string
	runes []rune
	at    []int
}

func (g *gramRun) whole(i, j, pos int) {
	g.emit(g.s[g.at[i]:g.at[j]], g.at[i], g.at[j], pos)
}

// bigrams emits the pairs of runes i to j, or the one that is alone.
func (g *gramRun) bigrams(i, j int) {
	if j-i == 1 {
		g.whole(i, j, g.pos)
		g.pos++
	}
	for ; i+1 < j; i++ {
		g.whole(i, i+2, g.pos)
		g.pos++
	}
}

// korean emits a word's bigrams and the word without its particles. A question has bigrams of that alone: those over the
// particle are there for words that only look as if they had one (고속도로).
func (g *gramRun) korean(afterWord bool) {
	n := len(g.runes)
	if afterWord && stripParticles(g.s, g.at, 0) == 0 { // API를
		return
	}
	least := 2
	if n == 2 {
		least = 1
	}
	m := stripParticles(g.s, g.at, least)
	if isKoreanStop(g.s) || isKoreanStop(g.s[:g.at[m]]) {
		g.pos++
		return
	}
	switch {
	case m == 1 && n == 2: // of two runes one may be a particle or not (물이, 결과): over the same span, as another form of the word
		g.emit(g.s[:g.at[1]], 0, g.at[2], g.pos)
	case m > 2 && m <= maxWhole:
		g.whole(0, m, g.pos)
	}
	if g.query && m > 1 {
		n = m
	}
	g.bigrams(0, n)
}

// chinese emits bigrams of Chinese characters and kana, and whole names: katakana words and short runs of characters.
// A question leaves out pairs that are grammar: hiragana alone or before something else.
func (g *gramRun) chinese() {
	kinds := make([]byte, len(g.runes))
	content := false
	for i, r := range g.runes {
		switch {
		case unicode.Is(unicode.Hiragana, r):
			kinds[i] = 'h'
		case unicode.Is(unicode.Han, r):
			kinds[i] = 'c'
		case r == 'ー' && i > 0:
			kinds[i] = kinds[i-1]
		default:
			kinds[i] = 'k'
		}
		content = content || kinds[i] != 'h'
	}
	if len(g.runes) == 1 {
		g.bigrams(0, 1)
		return
	}
	for i := range g.runes {
		if i == 0 || kinds[i] != kinds[i-1] {
			j := i + 1
			for j < len(kinds) && kinds[j] == kinds[i] {
				j++
			}
			if kinds[i] != 'h' && j-i > 2 && j-i <= maxWhole {
				g.whole(i, j, g.pos)
			}
		}
		if i+1 < len(kinds) {
			if !g.query || !content || kinds[i] != 'h' {
				g.whole(i, i+2, g.pos)
			}
			g.pos++
		}
	}
}
