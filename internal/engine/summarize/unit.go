package summarize

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"byline/internal/engine/chunk"
	"byline/internal/engine/extract"
)

// cutter makes the units of one source.
type cutter struct {
	survey   *Survey
	source   int
	text     string
	repeated map[string]bool
	contents map[int]bool
	leaf     int // the open section, -1 behind a heading
}

const (
	fewWords   = 4  // fewer make no sentence
	manyWords  = 80 // more are no sentence, but a run of lines that lost their ends
	quoteWords = 60 // a block quote up to this length is kept whole
	codeBytes  = 1500
)

// element makes the units of an element.
func (c *cutter) element(i int, e extract.Element) {
	text := c.text[e.Start:e.End]
	switch e.Kind {
	case extract.Table:
		if strings.Count(text, "\n") > 0 && standsApart(text) {
			lead := len(text) - len(strings.TrimLeft(text, " "))
			c.add(i, e, Table, e.Start+lead, e.Start+len(strings.TrimRight(text, " ")))
		}
	case extract.Item:
		start := e.Start + len(bullet.FindString(text))
		text = c.text[start:e.End]
		if Words(text) > manyWords { // a text of its own
			e.Start = start
			c.paragraph(i, e, text)
		} else if utf8.RuneCountInString(text) > 1 && !isLinkOnly(text) && !broken(text) {
			c.add(i, e, Item, start, e.End)
		}
	case extract.Code:
		if strings.HasPrefix(text, "```") && strings.HasSuffix(text, "\n```") && len(text) <= codeBytes {
			c.add(i, e, Code, e.Start, e.End)
		}
	case extract.Paragraph:
		c.paragraph(i, e, text)
	}
}

func (c *cutter) paragraph(i int, e extract.Element, text string) {
	src := c.survey.Sources[c.source]
	if c.repeated[oneLine(text)] || i < firstLines && isDateline(text) || src.Markdown && (isImprint(c.text, e.Start, e.End) || isDefinition(text)) {
		return
	}
	if !src.Markdown && isColumns(text) {
		c.add(i, e, Table, e.Start, e.End)
		return
	}
	quoted := src.Markdown && isQuoted(c.text, e.Start)
	if quoted && Words(text) <= quoteWords && isSentence(text) {
		c.add(i, e, Quote, e.Start, e.End)
		return
	}
	kind := Sentence
	if quoted {
		kind = Quote
	}
	for _, sp := range chunk.Sentences(text) {
		start, end := balance(c.text, e.Start+sp.Start, e.Start+sp.End)
		s := c.text[start:end]
		intro := strings.HasSuffix(s, ":") || strings.HasSuffix(s, "：")
		if n := Words(s); n > manyWords || !intro && (n < fewWords && !isShortSentence(s) || !isSentence(s)) || isBoilerplate(s) || startsLow(s) {
			continue
		}
		c.add(i, e, kind, start, end)
		c.survey.Units[len(c.survey.Units)-1].intro = intro
	}
}

// add appends a unit.
func (c *cutter) add(i int, e extract.Element, kind Kind, start, end int) {
	s := c.survey
	text := c.text[start:end]
	l := &s.sections[c.leaf]
	u := Unit{
		Source: c.source, Kind: kind, Start: start, End: end, HeadingPath: e.HeadingPath, Page: pageAt(s.Sources[c.source].Text.Pages, start, e.Page),
		Words: Words(text), element: i, section: c.leaf, place: len(l.units), lead: -1, terms: s.vocabulary.count(text, s.Sources[c.source].Language),
	}
	if kind == Item {
		u.Number = numberBefore(c.text, start)
	}
	id := len(s.Units)
	if (kind == Item || kind == Table || kind == Code) && len(l.units) > 0 {
		if before := s.Units[id-1]; before.element == i-1 && before.intro {
			u.lead = id - 1
		} else if before.element == i-1 && before.Kind == kind && kind == Item {
			u.lead = before.lead
		}
	}
	u.leans = kind == Sentence && leans(text)
	s.Units = append(s.Units, u)
	l.units = append(l.units, id)
}

var itemNumber = regexp.MustCompile(`^[ \t>]*(\d{1,9})[.)][ \t]+$`)

// numberBefore is the number that stands before an item on its line, 0 when there is none.
func numberBefore(text string, start int) int {
	m := itemNumber.FindStringSubmatch(text[strings.LastIndexByte(text[:start], '\n')+1 : start])
	if m == nil {
		return 0
	}
	return number(m[1])
}

// Words counts the words of a text: stretches between white space that hold a letter or digit; of scripts without spaces
// (Chinese, Japanese, Thai) two letters count as a word.
func Words(s string) int {
	n, dense := 0, 0
	for w := range strings.FieldsSeq(s) {
		spaced := false
		for _, r := range w {
			if unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai) {
				dense++
			} else if unicode.IsLetter(r) || unicode.IsDigit(r) {
				spaced = true
			}
		}
		if spaced {
			n++
		}
	}
	return n + (dense+1)/2
}

// pageAt is the page that a byte of the text stands on.
func pageAt(pages []extract.Page, at, otherwise int) int {
	i, found := slices.BinarySearchFunc(pages, at, func(p extract.Page, at int) int {
		switch {
		case p.End <= at:
			return -1
		case p.Start > at:
			return 1
		}
		return 0
	})
	if !found {
		return otherwise
	}
	return pages[i].Number
}

// repeats are the paragraphs that stand three times or more in a text: running heads, notices on each page.
func repeats(t extract.Text) map[string]bool {
	const often, long = 3, 200
	seen := map[string]int{}
	out := map[string]bool{}
	for _, e := range t.Elements {
		if e.Kind != extract.Paragraph || e.End-e.Start > long {
			continue
		}
		key := oneLine(t.Content[e.Start:e.End])
		if seen[key]++; seen[key] == often {
			out[key] = true
		}
	}
	return out
}

// standsApart tells a table that stays one without what is around it: not in a block quote or deep in a list, no fence in it.
func standsApart(table string) bool {
	const deep = 4
	pipes := isPipeTable(table)
	for line := range strings.SplitSeq(table, "\n") {
		trimmed := strings.TrimLeft(line, " ")
		if pipes && (len(line)-len(trimmed) >= deep || !strings.Contains(line, "|") || trimmed != "" && strings.ContainsAny(trimmed[:1], ">*+") || strings.HasPrefix(trimmed, "- ")) || strings.HasPrefix(trimmed, "```") {
			return false
		}
	}
	return true
}

// isImprint tells a paragraph that is emphasised as a whole: a status line, a date, a caption. The marks may stand around the
// element or in it.
func isImprint(text string, start, end int) bool {
	for _, m := range []byte{'*', '_'} {
		from, to := start, end
		if from > 0 && text[from-1] == m && to < len(text) && text[to] == m {
			from, to = from-1, to+1
		}
		s := text[from:to]
		double := from > 0 && text[from-1] == m || strings.HasPrefix(s, string([]byte{m, m}))
		if len(s) > 2 && s[0] == m && s[len(s)-1] == m && !double && strings.Count(s, string(m)) == 2 {
			return true
		}
	}
	return false
}

// firstLines are the elements among which a text says when it was made, and by whom.
const firstLines = 4

// isDateline tells a short line with a date that is no sentence of the text: "May 2024, by the desk team".
func isDateline(s string) bool {
	const few = 12
	return firstDate(s) > 0 && Words(s) <= few && !strings.ContainsAny(s[len(s)-1:], ".!?") && !strings.HasSuffix(s, "다")
}

// isDefinition tells the text of a footnote.
func isDefinition(s string) bool {
	mark := footmark.FindString(s)
	return mark != "" && strings.HasPrefix(s[len(mark):], ":")
}

// isQuoted tells whether the element at start stands in a block quote of Markdown.
func isQuoted(text string, start int) bool {
	line := text[strings.LastIndexByte(text[:start], '\n')+1 : start]
	return strings.HasPrefix(strings.TrimLeft(line, " "), ">")
}

// balance moves the ends of a sentence past marks of emphasis that have their partner outside of it.
func balance(text string, start, end int) (int, int) {
	for _, m := range []string{"**", "*", "__", "_"} {
		if strings.Count(text[start:end], m)%2 == 0 {
			continue
		}
		switch s := text[start:end]; {
		case strings.HasPrefix(s, m):
			start += len(m)
		case strings.HasSuffix(s, m):
			end -= len(m)
		}
	}
	return start, end
}

// isSentence tells whether prose ends like a sentence.
func isSentence(s string) bool {
	s = strings.TrimRightFunc(s, func(r rune) bool { return strings.ContainsRune(`"'”’»)]*_」』`, r) })
	last, _ := utf8.DecodeLastRuneInString(s)
	if strings.ContainsRune(".!?…。！？", last) {
		return true
	}
	return strings.ContainsRune("다요음함됨임까죠", last)
}

// isShortSentence tells a sentence of few words that says something all the same, as Korean ones do.
func isShortSentence(s string) bool {
	letters := 0
	for _, r := range s {
		if unicode.In(r, unicode.Hangul, unicode.Han, unicode.Hiragana, unicode.Katakana) {
			letters++
		}
	}
	return letters >= 10
}

// startsLow tells the rest of a sentence whose begin was lost: it begins with a small letter.
func startsLow(s string) bool {
	for _, r := range s {
		if unicode.IsLetter(r) {
			return unicode.IsLower(r)
		}
		if unicode.IsDigit(r) {
			return false
		}
	}
	return true // no letter and no digit at all
}

var (
	opening  = regexp.MustCompile(`^(?i)(?:permission is (hereby )?granted\b|page \d+( of \d+)?$|(present|attendees|attending|apologies|absent|author|date|time|place|venue|version|status|tags?|keywords|참석자|일시|장소|작성자|작성일)\s*[:：]|((with )?(kind|best|warm) regards|yours (sincerely|faithfully|truly))\b|(dear (colleagues|all|sir|madam|members|readers)|hi all|hello everyone)[,.!]?$|(unsubscribe|share this|print this page|back to top|skip to (main )?content)\b|confidential\b.{0,60}$|\d{1,4} ?/ ?\d{1,4}$|- ?\d{1,4} ?-$|(감사합니다|안녕하세요|안녕하십니까)[.!]?$|\d{1,4}\s?쪽$)`)
	anywhere = regexp.MustCompile(`(?i)all rights reserved|a copy of the licen[cs]e is included|©|\bcopyright (?:\(?c\)? )?\d|\bcookies?\b.*\b(accept|policy|consent)\b|\bsubscribe (to|now)\b|\bclick here\b|\bthis page (is )?intentionally left blank|무단\s*(전재|복제|배포)|저작권자`)
	linkOnly = regexp.MustCompile(`^!?\[[^\]]*\]\([^)]*\)[.,;]?$|^<?https?://\S+>?$`)
)

// noticeWords are what one of the notices anywhere holds; to look for them takes far less time than the pattern.
var noticeWords = []string{"rights reserved", "©", "opyright", "OPYRIGHT", "ookie", "ubscribe", "lick here", "eft blank", "licen", "무단", "저작권자", "RIGHTS RESERVED"}

// isBoilerplate tells lines that belong to the form of a page or a letter and not to what it says.
func isBoilerplate(s string) bool {
	if opening.MatchString(s) || isLinkOnly(s) {
		return true
	}
	return slices.ContainsFunc(noticeWords, func(w string) bool { return strings.Contains(s, w) }) && anywhere.MatchString(s)
}

func isLinkOnly(s string) bool {
	s = strings.TrimSpace(s)
	return s != "" && strings.ContainsAny(s[:1], "![<hH") && linkOnly.MatchString(s)
}

// pointers are the words at the begin of a sentence that point back at the one before.
var pointers = func() map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(`it its they their them this that these those he his him she her such both neither either former latter here there
		otherwise instead however moreover furthermore additionally also besides nevertheless nonetheless still meanwhile indeed and but so or yet thus hence therefore
		consequently finally similarly likewise then again another others one
		그는 그녀는 그것은 그들은 이는 이것은 이들은 이를 이에 이러한 이런 그런 그러한 그중 이 그 저 해당 이와 이처럼 그러나 그런데 그리고 하지만 또한 따라서 그래서 그러므로 게다가 한편 반면 즉 이때 이후 그럼에도 그때 그래도 그러면 그렇지만 이어서 아울러 나머지 둘 모두
		그녀의 그의 이것이 그것이 이것을 그것을 이로써 이로 인해 이에따라 그리하여 더구나 반면에 결국 이어 그다음 이러한 그러한 이와같이 마찬가지로 이날 그날 당시 이곳 그곳 여기 거기`) {
		m[w] = true
	}
	return m
}()

var pointing = regexp.MustCompile(`^(?i)(as a result|for (example|instance)|in (fact|addition|contrast|turn|short|other words)|by contrast|on the other hand|because of (this|that)|at the same time|the (same|former|latter|rest|others?)\b|of (these|those|them|which)|(until|since|by|before|after|from) (then|that|this)\b|even so|in (that|this) (case|way|respect)|(nobody|no one|everyone|everybody|none|all|some|many|most|few|several|two|three|four|five) (did|does|do|was|were|is|are|had|has|have)\b)`)

// concluding are connectives within the first words of a sentence ("The office therefore ...").
var concluding = regexp.MustCompile(`^\S+(?: \S+){0,4} (?:therefore|thus|hence|consequently|however|nevertheless|moreover|furthermore|likewise|instead)\b`)

// itself are words by which a text speaks of itself as a whole: that points at nothing before it.
var itself = regexp.MustCompile(`^(?i)this (policy|document|report|guide|manual|plan|paper|page|handbook|agreement|contract|notice|study|specification|standard|survey|article|book|letter|newsletter|overview|list|website|site|project|programme|program|service|product)\b|^(이|본) (문서|보고서|안내서?|지침|규정|규칙|계획서?|자료|약관|계약|논문|조사|연구|사업|제품|글|책자?|매뉴얼|설명서)(는|은|에|의|가|이|를|을|에서|에서는)? `)

// leans tells whether a sentence begins by pointing at the one before it.
func leans(s string) bool {
	s = strings.TrimLeft(s, `"'“‘(*_`)
	if itself.MatchString(s) {
		return false
	}
	word, _, _ := strings.Cut(s, " ")
	word = strings.ToLower(strings.TrimRight(word, ",."))
	if word == "there" || word == "here" || word == "one" || word == "another" {
		return word == "another"
	}
	base, _, _ := strings.Cut(word, "'")
	return pointers[word] || pointers[base] || pointing.MatchString(s) || concluding.MatchString(s)
}
