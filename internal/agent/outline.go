package agent

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"byline/internal/engine/cite"
	"byline/internal/engine/markdown"
	"byline/internal/engine/textdiff"
)

// outline is a draft by its parts, for who names them.
type outline struct {
	content  string
	blocks   []textdiff.Block
	sections []stretch
	allowed  func(i int) bool // whether a block may be changed
}

// stretch is blocks one after the other; a section begins with its heading.
type stretch struct {
	title    string
	level    int
	from, to int // blocks; to is behind the last one
}

func outlineOf(content string, blocks []textdiff.Block, allowed func(int) bool) *outline {
	o := &outline{content: content, blocks: blocks, allowed: allowed}
	for i, b := range blocks {
		if b.Kind != textdiff.Heading {
			continue
		}
		s := stretch{title: headingText(b.Body(content)), level: b.Level, from: i, to: len(blocks)}
		for k := i + 1; k < len(blocks); k++ {
			if blocks[k].Kind == textdiff.Heading && blocks[k].Level <= b.Level {
				s.to = k
				break
			}
		}
		o.sections = append(o.sections, s)
	}
	return o
}

var suggestedMark = regexp.MustCompile(`\s*\((?:` + regexp.QuoteMeta(english.suggested) + `|` + regexp.QuoteMeta(korean.suggested) + `)\)$`)

// headingText is a heading as its reader sees it.
func headingText(body string) string {
	return suggestedMark.ReplaceAllString(strings.TrimSpace(markdown.PlainText(body)), "")
}

// target is what an order is done to: blocks, or sentences of one.
type target struct {
	blocks []int
	claims []spot // when it is less than blocks
}

// spot is a sentence, item or row in a block.
type spot struct {
	block      int
	start, end int // in the block's body
}

var (
	ordinals = map[string]int{"first": 1, "1st": 1, "second": 2, "2nd": 2, "third": 3, "3rd": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8, "ninth": 9, "tenth": 10,
		"last": -1, "final": -1, "only": 1, "첫": 1, "첫번째": 1, "첫째": 1, "두번째": 2, "둘째": 2, "세번째": 3, "셋째": 3, "네번째": 4, "넷째": 4, "다섯번째": 5, "여섯번째": 6, "마지막": -1}
	nouns = map[string]string{"section": "section", "chapter": "section", "part": "section", "섹션": "section", "절": "section", "장": "section", "부분": "section", "항목": "section",
		"paragraph": "paragraph", "문단": "paragraph", "단락": "paragraph", "table": "table", "표": "table", "list": "list", "bullet list": "list", "bullets": "list", "목록": "list", "리스트": "list",
		"quote": "quote", "quotation": "quote", "block quote": "quote", "box": "quote", "인용": "quote", "인용문": "quote", "상자": "quote", "code": "code", "code block": "code", "코드": "code", "코드 블록": "code",
		"sentence": "sentence", "문장": "sentence", "heading": "heading", "제목": "heading"}

	nounForm   = `(sections?|chapters?|parts?|paragraphs?|tables?|(?:bullet )?lists?|bullets|(?:block )?quotes?|quotations?|box|code(?: blocks?)?|sentences?|headings?)`
	koNounForm = `(섹션|절|장|부분|항목|문단|단락|표|목록|리스트|인용문?|상자|코드(?: 블록)?|문장)`

	nthNoun   = regexp.MustCompile(`(?i)^(?:the |this |that )?(?:very )?(?:(\w+) |(\d+)(?:st|nd|rd|th) )?` + nounForm + `(?: (?:of|in|from) (.+))?$`)
	koNth     = regexp.MustCompile(`^(?:(.+?)(?:의|에서|에 있는)\s+)?(첫|첫 ?번째|첫째|두 ?번째|둘째|세 ?번째|셋째|네 ?번째|넷째|다섯 ?번째|여섯 ?번째|맨 마지막|마지막|\d+ ?번째?)?\s*` + koNounForm + `$`)
	everyNoun = regexp.MustCompile(`(?i)^(?:all|both|every|any|each)(?: of)?(?: the)? ` + nounForm + `$|^the (sections|chapters|parts|paragraphs|tables|lists|quotes|sentences)$`)
	koEvery   = regexp.MustCompile(`^(?:모든|전체|전부의?)\s*` + koNounForm + `(?:들)?$|^` + koNounForm + `들?\s*(?:전부|모두|전체)$`)
	named     = regexp.MustCompile(`(?i)^(?:the |this )?(section|chapter|part|paragraph|sentence|table|list)s? (?:about|on|with|titled|called|named|headed|that (?:says|mentions|is about)|mentioning|containing|for)?:? ?(.+)$`)
	namedBack = regexp.MustCompile(`(?i)^(?:the |this )?(.+?) (section|chapter|part|paragraph|table|list)$`)
	koNamed   = regexp.MustCompile(`^(.+?)\s*(?:에 대한|에 관한|관련|이라는|라는)?\s*` + koNounForm + `$`)
	opening   = regexp.MustCompile(`(?i)^(?:the )?(?:introduction|intro|opening|lead)$|^(?:서론|도입부?|머리말)$`)
	closing   = regexp.MustCompile(`(?i)^(?:the )?(?:conclusion|ending|outlook|closing)s?$|^(?:결론|맺음말|마무리)$`)
	itself    = regexp.MustCompile(`(?i)^(?:it|this|that|these|the selection|(?:the )?selected (?:text|part|passage)|what is selected)$|^(?:이것|이 부분|여기|선택(?:한)? ?(?:부분|영역|텍스트)?)$`)
	aQuoted   = regexp.MustCompile(`^` + quotedX + `$`)
	spaces    = regexp.MustCompile(`\s+`)
)

// resolve finds what somebody means. selected tells whether a part was selected, which then is "this".
func (o *outline) resolve(name string, selected bool) (target, bool) {
	name = strings.TrimSpace(spaces.ReplaceAllString(name, " "))
	for _, try := range []func(string, bool) (target, bool){o.this, o.heading, o.nth, o.every, o.byName, o.edges, o.phrase} {
		if t, ok := try(name, selected); ok {
			return t, o.permits(t)
		}
	}
	return target{}, false
}

func (o *outline) permits(t target) bool {
	return !slices.ContainsFunc(t.blocks, func(i int) bool { return !o.allowed(i) }) && !slices.ContainsFunc(t.claims, func(s spot) bool { return !o.allowed(s.block) }) && len(t.blocks)+len(t.claims) > 0
}

func (o *outline) this(name string, selected bool) (t target, ok bool) {
	if !selected || !itself.MatchString(name) {
		return t, false
	}
	for i := range o.blocks {
		if o.allowed(i) {
			t.blocks = append(t.blocks, i)
		}
	}
	return t, true
}

func run(from, to int) (list []int) {
	for i := from; i < to; i++ {
		list = append(list, i)
	}
	return list
}

// unquoted takes the quotes off a phrase that is nothing else.
func unquoted(s string) string {
	if m := aQuoted.FindStringSubmatch(s); m != nil {
		return picked(m, 1)
	}
	return s
}

// section finds a section by its heading: word for word, else by an article less, case aside.
func (o *outline) section(name string) (stretch, bool) {
	key := func(s string) string {
		return article.ReplaceAllString(strings.ToLower(strings.Trim(spaces.ReplaceAllString(s, " "), " .:!?\"'")), "")
	}
	want := key(unquoted(name))
	for _, s := range o.sections {
		if want != "" && key(s.title) == want {
			return s, true
		}
	}
	return stretch{}, false
}

func (o *outline) heading(name string, _ bool) (target, bool) {
	s, ok := o.section(name)
	return target{blocks: run(s.from, s.to)}, ok
}

// kindOf is the noun of a form, singular.
func kindOf(noun string) string {
	noun = strings.ToLower(spaces.ReplaceAllString(noun, " "))
	if k, ok := nouns[noun]; ok {
		return k
	}
	return nouns[strings.TrimSuffix(noun, "s")]
}

// count reads an ordinal; 0 is none.
func count(word string) int {
	word = strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(word, "맨 "), " ", ""))
	if n, ok := ordinals[word]; ok {
		return n
	}
	n, err := strconv.Atoi(strings.TrimRight(word, "번째thsndr"))
	if err != nil {
		return 0
	}
	return n
}

// pick gives the n-th of a list, from behind where n is negative; without a number the only one.
func pick[T any](list []T, n int) (found []T, ok bool) {
	switch {
	case n == 0 && len(list) == 1, n == 1 && len(list) > 0:
		return list[:1], true
	case n > 0 && n <= len(list):
		return list[n-1 : n], true
	case n < 0 && -n <= len(list):
		return list[len(list)+n : len(list)+n+1], true
	}
	return nil, false
}

func (o *outline) nth(name string, _ bool) (t target, ok bool) {
	within := stretch{to: len(o.blocks)}
	var word, noun, in string
	if m := nthNoun.FindStringSubmatch(name); m != nil {
		word, noun, in = m[1]+m[2], m[3], m[4]
	} else if m := koNth.FindStringSubmatch(name); m != nil {
		in, word, noun = m[1], m[2], m[3]
	} else {
		return t, false
	}
	if in != "" {
		in = regexp.MustCompile(`(?i)^(?:the )?(?:section|chapter) |(?: section| chapter| ?섹션| ?절)$`).ReplaceAllString(in, "")
		if within, ok = o.section(in); !ok {
			return t, false
		}
	}
	n := count(word)
	if word != "" && n == 0 {
		return t, false
	}
	return o.pickNth(kindOf(noun), n, within)
}

func (o *outline) pickNth(kind string, n int, within stretch) (t target, ok bool) {
	switch kind {
	case "section":
		var list []stretch
		for _, s := range o.parts() {
			if s.from >= within.from && s.to <= within.to {
				list = append(list, s)
			}
		}
		found, ok := pick(list, n)
		if ok {
			t.blocks = run(found[0].from, found[0].to)
		}
		return t, ok
	case "sentence":
		found, ok := pick(o.spots(within), n)
		t.claims = found
		return t, ok
	}
	found, ok := pick(o.ofKind(kind, within), n)
	t.blocks = found
	return t, ok
}

// parts are the sections of the outermost level that has more than one, without those that only tell of the sources.
func (o *outline) parts() (list []stretch) {
	top := 7
	for level := 1; level <= 6 && top == 7; level++ {
		n := 0
		for _, s := range o.sections {
			if s.level == level {
				n++
			}
		}
		if n > 1 {
			top = level
		}
	}
	for _, s := range o.sections {
		if (s.level == top || top == 7) && !isApparatus(s.title) {
			list = append(list, s)
		}
	}
	return list
}

// isApparatus tells headings of what the writer adds about the sources.
func isApparatus(title string) bool {
	for _, l := range []labels{english, korean} {
		if title == l.sources || title == l.gaps || title == l.superseded {
			return true
		}
	}
	return false
}

func (o *outline) ofKind(kind string, within stretch) (list []int) {
	skipped := false // what tells of the sources is no part that one counts
	for i := within.from; i < within.to; i++ {
		if o.blocks[i].Kind == textdiff.Heading && i > within.from {
			skipped = isApparatus(headingText(o.blocks[i].Body(o.content)))
		}
		if !skipped && string(o.blocks[i].Kind) == kind {
			list = append(list, i)
		}
	}
	return list
}

// spots are all sentences, items and rows.
func (o *outline) spots(within stretch) (list []spot) {
	for i := within.from; i < within.to; i++ {
		for _, c := range cite.Claims(o.blocks[i].Body(o.content)) {
			list = append(list, spot{i, c.Start, c.End})
		}
	}
	return list
}

func (o *outline) every(name string, _ bool) (t target, ok bool) {
	noun := ""
	for _, form := range []*regexp.Regexp{everyNoun, koEvery} {
		if m := form.FindStringSubmatch(name); m != nil {
			noun = m[1] + m[2]
		}
	}
	kind := kindOf(noun)
	if kind == "" || kind == "section" || kind == "sentence" {
		return t, false
	}
	t.blocks = o.ofKind(kind, stretch{to: len(o.blocks)})
	return t, len(t.blocks) > 0
}

// byName finds a part by a noun and what it is called, or says.
func (o *outline) byName(name string, _ bool) (t target, ok bool) {
	var noun, what string
	if m := named.FindStringSubmatch(name); m != nil {
		noun, what = m[1], m[2]
	} else if m := namedBack.FindStringSubmatch(name); m != nil {
		noun, what = m[2], m[1]
	} else if m := koNamed.FindStringSubmatch(name); m != nil {
		noun, what = m[2], m[1]
	} else {
		return t, false
	}
	kind := kindOf(noun)
	if what = unquoted(strings.TrimSpace(what)); article.ReplaceAllString(what+" ", "") == "" {
		return t, false
	}
	if s, found := o.section(what); found {
		if kind == "section" {
			return target{blocks: run(s.from, s.to)}, true
		}
		if list := o.ofKind(kind, s); len(list) == 1 {
			return target{blocks: list}, true
		}
	}
	switch kind {
	case "section":
		if opening.MatchString(what) || closing.MatchString(what) {
			return o.edges(what, false)
		}
		var found []stretch
		for _, s := range o.sections {
			if holds(s.title, what) {
				found = append(found, s)
			}
		}
		if len(found) == 1 {
			return target{blocks: run(found[0].from, found[0].to)}, true
		}
	case "sentence":
		return o.only(o.spots(stretch{to: len(o.blocks)}), what)
	default:
		var list []int
		for _, i := range o.ofKind(kind, stretch{to: len(o.blocks)}) {
			if holds(o.blocks[i].Body(o.content), what) {
				list = append(list, i)
			}
		}
		t.blocks, ok = pick(list, 0)
	}
	return t, ok
}

// only finds the one sentence that holds what is said.
func (o *outline) only(spots []spot, what string) (t target, ok bool) {
	for _, s := range spots {
		if holds(o.blocks[s.block].Body(o.content)[s.start:s.end], what) {
			t.claims = append(t.claims, s)
		}
	}
	return t, len(t.claims) == 1
}

// holds tells whether a text has a phrase, or all of its words.
func holds(text, what string) bool {
	low := strings.ToLower(markdown.PlainText(text))
	what = strings.ToLower(what)
	if strings.Contains(low, what) {
		return true
	}
	words := strings.Fields(article.ReplaceAllString(what, ""))
	return len(words) > 0 && !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(low, w) })
}

// edges are the introduction and the conclusion: what stands before the first heading, or the first or last section.
func (o *outline) edges(name string, _ bool) (t target, ok bool) {
	parts := o.parts()
	switch {
	case opening.MatchString(name):
		first := len(o.blocks)
		if len(o.sections) > 0 {
			first = o.sections[0].from
		}
		for i := range first {
			if o.blocks[i].Kind == textdiff.Paragraph {
				t.blocks = append(t.blocks, i)
			}
		}
		if t.blocks == nil && len(parts) > 0 && general.MatchString(parts[0].title) {
			t.blocks = run(parts[0].from, parts[0].to)
		}
	case closing.MatchString(name) && len(parts) > 0:
		if last := parts[len(parts)-1]; general.MatchString(last.title) {
			t.blocks = run(last.from, last.to)
		}
	}
	return t, len(t.blocks) > 0
}

// phrase finds the sentences that hold a quoted phrase.
func (o *outline) phrase(name string, _ bool) (t target, ok bool) {
	m := aQuoted.FindStringSubmatch(name)
	if m == nil {
		return t, false
	}
	return o.only(o.spots(stretch{to: len(o.blocks)}), picked(m, 1))
}
