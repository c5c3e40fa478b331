package lexical

import (
	"cmp"
	"slices"
)

// Term is one term of a question.
type Term struct {
	Text   string
	Weight float64 // factor of its score: how often the question says it; terms that are not above 0 are ignored
	Alt    int     // terms with the same Alt above 0 are forms of one word, of which Coverage counts the best; 0 stands alone
}

// Query analyses a question for texts in the given languages ("" for texts whose language is unknown; none at all: the question's own).
// A word whose stem differs between them gives one term for each. Stop words are those of the question's language.
func Query(text string, langs ...string) []Term {
	own := DetectLanguage(text)
	if len(langs) == 0 {
		langs = []string{own}
	}
	type span struct{ start, end int }
	var kept map[span]bool // by the question's own stop words; nil when its language is unknown
	if own != "" {
		kept = map[span]bool{}
		for _, t := range analyze(text, own, true) {
			kept[span{t.Start, t.End}] = true
		}
	}
	var order []span
	forms := map[span][]string{}
	done := map[string]bool{}
	for _, lang := range langs {
		lang = baseLanguage(lang)
		if done[lang] {
			continue
		}
		done[lang] = true
		for _, t := range analyze(text, lang, true) {
			s := span{t.Start, t.End}
			if kept != nil && !kept[s] {
				continue
			}
			if forms[s] == nil {
				order = append(order, s)
			}
			if !slices.Contains(forms[s], t.Term) {
				forms[s] = append(forms[s], t.Term)
			}
		}
	}
	slices.SortStableFunc(order, func(a, b span) int { return cmp.Or(a.start-b.start, b.end-a.end) })
	return collect(len(order), func(i int) []string { return forms[order[i]] })
}

// collect makes one term of each distinct text, weighted by its occurrences; the forms of one word share an Alt.
func collect(words int, formsOf func(int) []string) []Term {
	var terms []Term
	at := map[string]int{}
	alts := 0
	for i := range words {
		forms := formsOf(i)
		alt := 0
		if len(forms) > 1 {
			for _, f := range forms { // a form that is known already brings its word with it
				if j, ok := at[f]; ok && terms[j].Alt > 0 {
					alt = terms[j].Alt
				}
			}
			if alt == 0 {
				alts++
				alt = alts
			}
		}
		for _, f := range forms {
			j, ok := at[f]
			if !ok {
				j = len(terms)
				at[f] = j
				terms = append(terms, Term{Text: f})
			}
			terms[j].Weight++
			if terms[j].Alt == 0 {
				terms[j].Alt = alt
			}
		}
	}
	return terms
}

// Span is a stretch of a text in byte offsets.
type Span struct{ Start, End int }

// Highlights are the stretches of a text in lang that match any of the terms, in text order; those that touch or overlap are one.
func Highlights(text, lang string, terms []Term) []Span {
	wanted := make(map[string]bool, len(terms))
	for _, t := range terms {
		wanted[t.Text] = true
	}
	var spans []Span
	for _, t := range Analyze(text, lang) {
		if wanted[t.Term] {
			spans = append(spans, Span{t.Start, t.End})
		}
	}
	slices.SortFunc(spans, func(a, b Span) int { return cmp.Or(a.Start-b.Start, a.End-b.End) })
	merged := spans[:0]
	for _, s := range spans {
		if n := len(merged); n > 0 && s.Start <= merged[n-1].End {
			merged[n-1].End = max(merged[n-1].End, s.End)
		} else {
			merged = append(merged, s)
		}
	}
	return merged
}
