package chunk_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"byline/internal/engine/chunk"
)

func sentences(text string) []string {
	var out []string
	for _, s := range chunk.Sentences(text) {
		out = append(out, text[s.Start:s.End])
	}
	return out
}

func TestSentences(t *testing.T) {
	// The sentences of each row are joined by |.
	for _, tt := range []struct{ name, in string }{
		{"plain", "One. |Two! |Three? |Four"},
		{"wrapped lines", "One goes\non. |Two goes\non."},
		{"blank line", "A title\n\n|One. |Two\n \t\n|Three"},
		{"abbreviations", "Dr. Smith and Prof. Jones met, e.g. in St. Gallen, i.e. Switzerland. |Mr. X came too."},
		{"numbers", "Pi is 3.14 and not 3,14. |It costs $5.00. |See No. 5, Fig. 2 and p. 7. |In 2024. |That was 1.5 times more."},
		{"year at the end", "It was built in 2024. |The roof came later."},
		{"initials", "J. R. R. Tolkien wrote it. |George W. Bush did not."},
		{"initialism within", "The U.S. Government paid. |It lives in the U.S. |The rest moved."},
		{"letter at the end", "It has vitamin C. |The rest is sugar."},
		{"names", "Acme Inc. Chairman Bob spoke. |He left Acme Inc. |The board stayed, etc. |They met at 5 p.m. |It rained."},
		{"months", "On Jan. 5 it rained. |It ended in Jan. |Then came snow."},
		{"list number", "1. Insulate the roof. |2. Go home."},
		{"small letter follows", "He said what? and left. |Yahoo! is a name."},
		{"et al", "Smith et al. (2020) found it. |So did we."},
		{"quotes", "“It works.” |She left. |(It did.) |\"Really?\" |‘Yes.’ |He nodded."},
		{"speech goes on", "“What?” he asked. |“No!” she said."},
		{"ellipsis", "Well... maybe. |Well… |Perhaps. |And so on ... |Then it ended."},
		{"many signs", "What?! |No!!! |Yes."},
		{"emphasis", "**It works.** |*It does.* |See `a.b`. |Done."},
		{"footnotes", "It fell.[^1] |It rose.[12] |It stayed.² |End."},
		{"link behind a period", "See a.[b](c) here. |End."},
		{"quoted lines", "One goes\n> on. |Two\n> goes on."},
		{"German", "Das kostet z.B. 5 Mio. Euro. |Am 3. Oktober war Dr. Müller da, vgl. S. 7 und Abs. 2. |»Ja.« |Er sagte es. |»Nein.« |„Gut.“ |Dann bzw. Danach nicht."},
		{"French", "M. Dupont est parti. |Il a dit : « Oui. » |Elle aussi. |« Non », dit-elle."},
		{"addresses", "See www.example.com. |Or https://a.b/c?d=e.f&g! for more. |Mail x.y@z.org."},
		{"Korean", "열을 사용했다. |42퍼센트가 줄었다.|그는 3.14를 썼다! |정말?|그렇다."},
		{"Japanese", "熱を使った。|「減った。」と言った。|「本当？」|そうだ！|終わり"},
		{"Chinese", "用了热量。|减少了吗？|是的！|“好。”|他说。|“好”也行。"},
		{"Hindi and others", "यह एक वाक्य है। |यह दूसरा है। |هذا سؤال؟ |یہ جملہ ہے۔ |End."},
		{"wide space", "使った。　|減った。"},
		{"period in Markdown item", "v1.2. |Next"},
		{"only a sign", "."},
		{"no letters", "... |--- ..."},
		{"brackets follow", "It fell. |(See above.) |[Link](x) follows."},
		{"punctuation follows", "He asked \"Why?\", and left. |End."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var want []string
			for s := range strings.SplitSeq(tt.in, "|") {
				want = append(want, strings.TrimSpace(s))
			}
			if diff := cmp.Diff(want, sentences(strings.ReplaceAll(tt.in, "|", ""))); diff != "" {
				t.Error(diff)
			}
		})
	}
	for _, in := range []string{"", " \n\t\u3000"} {
		if got := sentences(in); got != nil {
			t.Errorf("%q: %q", in, got)
		}
	}
}

// checkSentences holds what is true of the sentences of any text.
func checkSentences(t *testing.T, text string) {
	t.Helper()
	at := 0
	for _, s := range chunk.Sentences(text) {
		if s.Start < at || s.End <= s.Start || s.End > len(text) {
			t.Fatalf("span %v behind %d of %q", s, at, text)
		}
		if lost := strings.TrimSpace(text[at:s.Start]); lost != "" {
			t.Fatalf("lost %q of %q", lost, text)
		}
		if got := text[s.Start:s.End]; strings.TrimFunc(got, unicode.IsSpace) != got || utf8.ValidString(text) && !utf8.ValidString(got) {
			t.Fatalf("sentence %q of %q", got, text)
		}
		at = s.End
	}
	if lost := strings.TrimSpace(text[at:]); lost != "" {
		t.Fatalf("lost %q of %q", lost, text)
	}
}

func FuzzSentences(f *testing.F) {
	for _, s := range []string{"Dr. A. b", "a.\n\nb", "。」と", "1. a", "a.[^1] B", "a… \n b", "\xff. A", "U.S. The"} {
		f.Add(s)
	}
	f.Fuzz(checkSentences)
}
