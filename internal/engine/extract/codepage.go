package extract

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// alphabet is what a language writes beyond ASCII, in lower case, and the code pages that it was saved in.
// Detectors by letter pairs know few of these; but a text in the wrong page shows letters that its language does not have.
type alphabet struct {
	letters string
	pages   []string
}

// alphabets in the order of preference: the first of equals wins.
func alphabets() []alphabet {
	western := []string{"windows-1252", "macintosh"}
	central := []string{"windows-1250", "iso-8859-2"}
	baltic := []string{"windows-1257"}
	return []alphabet{
		{"äöüßé", western},                             // German
		{"àâæçéèêëîïôœùûüÿ", western},                  // French
		{"áéíóúñü", western},                           // Spanish
		{"áàâãçéêíóôõúü", western},                     // Portuguese
		{"àèéìíîòóùú", western},                        // Italian
		{"åæøéö", western},                             // Danish, Norwegian
		{"äöåé", western},                              // Swedish, Finnish
		{"àéèíïóòúüç", western},                        // Catalan
		{"áäéëèêíïóöúü", western},                      // Dutch
		{"ąćęłńóśźż", central},                         // Polish
		{"áčďéěíňóřšťúůýž", central},                   // Czech
		{"áäčďéíĺľňóôŕšťúýž", central},                 // Slovak
		{"áéíóöőúüű", central},                         // Hungarian
		{"čćđšž", central},                             // Croatian, Slovene
		{"ăâîşţ", central},                             // Romanian
		{"çğıöşüâîûi\u0307", []string{"windows-1254"}}, // Turkish
		{"ąčęėįšųūž", baltic},                          // Lithuanian
		{"āčēģīķļņšūž", baltic},                        // Latvian
		{"äõöüšž", baltic},                             // Estonian
		{"áðéíóúýþæö", []string{"windows-1252"}},       // Icelandic
		{"ءآأؤإئابةتثجحخدذرزسشصضطظعغـفقكلمنهوىيپچژگ\u064B\u064C\u064D\u064E\u064F\u0650\u0651\u0652", []string{"windows-1256"}}, // Arabic
		{"äöüßàâæçéèêëîïôœùûÿáíóúñãõìòåøšž", western[:1]},                                                                       // names from all over western Europe
	}
}

// signs stand in texts of all these languages.
const signs = "“”„‘’‚«»‹›–—…•·€£¥¢§©®™°±²³µ½¼¾¡¿×÷ªº†‡¶¬\u00A0\u00AD،؛؟"

// bestPage finds the code page under which a sample looks like one of the languages it was made for. It is sure when all
// but a tenth of what is not ASCII belongs there.
func bestPage(sample []byte) (page string, sure bool) {
	decoded := map[string]string{}
	best := 0.0
	for _, a := range alphabets() {
		for _, p := range a.pages {
			s, ok := decoded[p]
			if !ok {
				s, _ = strictly(sample, p)
				decoded[p] = s
			}
			if share := a.share(s); share > best {
				best, page = share, p
			}
		}
	}
	return page, best >= 0.9
}

// share of the runes beyond ASCII that the language has, in places where it has them.
func (a alphabet) share(s string) float64 {
	good, all := 0, 0
	prev := ' '
	for i, r := range s {
		if r >= utf8.RuneSelf {
			all++
			next, _ := utf8.DecodeRuneInString(s[i+utf8.RuneLen(r):])
			if a.belongs(prev, r, next) {
				good++
			}
		}
		prev = r
	}
	if all == 0 {
		return 0
	}
	return float64(good) / float64(all)
}

// belongs tells whether r may stand between its neighbours: a capital does not follow a small letter, and but for
// apostrophes and hyphens no sign stands within a word.
func (a alphabet) belongs(prev, r, next rune) bool {
	if strings.ContainsRune(signs, r) {
		within := unicode.IsLetter(prev) && unicode.IsLetter(next)
		return !within || strings.ContainsRune("’–—·…\u00AD\u00A0", r)
	}
	lower := unicode.ToLower(r)
	if lower != r && unicode.IsLower(prev) {
		return false
	}
	return strings.ContainsRune(a.letters, lower)
}
