// Package paper makes documents to measure with: text and PDFs of any length, the same for the same seed.
package paper

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
)

// Prose makes text of about size bytes: paragraphs under headings, from a vocabulary whose words are as unequally frequent
// as those of a language.
func Prose(seed uint64, size int) string {
	r := rand.New(rand.NewPCG(seed, 1))
	words := vocabulary()
	z := rand.NewZipf(r, 1.1, 8, uint64(len(words)-1))
	var b strings.Builder
	for n := 0; b.Len() < size; n++ {
		if n%6 == 0 {
			fmt.Fprintf(&b, "## Chapter %d of %s %s\n\n", n/6, words[z.Uint64()], words[z.Uint64()])
		}
		for range 3 + r.IntN(4) {
			for i := range 9 + r.IntN(14) {
				w := words[z.Uint64()]
				if i == 0 {
					w = strings.ToUpper(w[:1]) + w[1:]
				} else {
					b.WriteByte(' ')
				}
				b.WriteString(w)
			}
			b.WriteString(". ")
		}
		b.WriteString("\n\n")
	}
	return b.String()[:size]
}

// vocabulary is made once: it would take longer than a text of it.
var vocabulary = sync.OnceValue(func() []string {
	r := rand.New(rand.NewPCG(7, 7))
	list := strings.Fields("the of and to in is that for it was on are as with be by at this from or an which have not but can")
	syllables := strings.Fields("ba ter con ing ro mi sta ple der an tion vel or ness cha re li dom fer gu hi ous ment ka lo pri su tra en wi")
	for len(list) < 30000 {
		w := ""
		for range 1 + r.IntN(4) {
			w += syllables[r.IntN(len(syllables))]
		}
		list = append(list, w)
	}
	return list
})
