package agent

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"byline/internal/draft"
	"byline/internal/engine/cite"
	"byline/internal/engine/summarize"
	"byline/internal/engine/textdiff"
	"byline/internal/fault"
	"byline/internal/runs"
)

// revision is a draft in the hands of the writer that has no model.
type revision struct {
	*refining
	outline *outline
	own     *summarize.Survey // of the draft itself
	items   []slot            // in order; what is gone is not there
	found   map[string]*finding
	said    []runs.NewEvent
	flagged []string // sentences with a phrase that was replaced, which are not found in their sources now
}

// finding is what the sources have about a topic.
type finding struct {
	section section
	piece   *piece // nil: nothing that the draft does not have
}

// revise does what can be done in good faith without a model, and says what it can't.
func (x *refining) revise(ctx context.Context) ([]runs.NewEvent, error) {
	v := &revision{refining: x, outline: outlineOf(x.base.Content, x.blocks, x.within), own: x.survey, found: map[string]*finding{}}
	for i := range x.blocks {
		v.items = append(v.items, slot{Block: i})
	}
	var failed error
	done, left := readOrders(x.wish.Feedback, func(o order) bool {
		ok, err := v.can(ctx, o)
		failed = cmp.Or(failed, err)
		return ok && err == nil
	})
	if failed != nil {
		return nil, failed
	}
	if len(done) == 0 {
		return nil, needsModel(left)
	}
	if len(left) > 0 {
		v.said = append(v.said, notice("needs_model", "%s", fault.Of(needsModel(left)).Say))
	}
	for _, d := range deeds {
		for _, o := range done {
			if o.do == d {
				v.carryOut(o)
			}
		}
	}
	if len(v.flagged) > 0 {
		v.said = append(v.said, notice("unsupported", "%d sentence(s) of the change are not found in the sources: %s", len(v.flagged), clip(strings.Join(v.flagged, " "), 1000)))
	}
	for i := range v.items {
		if s := &v.items[i]; s.Text != "" {
			s.Claims = x.keep(s.Text, s.Claims)
		}
	}
	x.state.Slots = v.items
	return v.said, nil
}

// needsModel says what cannot be done, and what can.
func needsModel(left []string) error {
	var unclear, missing []string
	for _, s := range left {
		q := "“" + clip(s, 200) + "”"
		if len(readOrder(s)) > 0 {
			missing = append(missing, q)
			continue
		}
		unclear = append(unclear, q)
	}
	var say []string
	if len(missing) > 0 {
		say = append(say, fmt.Sprintf("What %s speaks of is not in this draft or its sources, or it is there more than once: name it as the draft does.", strings.Join(missing, ", ")))
	}
	if len(unclear) > 0 {
		say = append(say, fmt.Sprintf("Without a model Byline does not understand %s. It can shorten, drop or move a section, table, list, paragraph or sentence, replace a quoted phrase, add more on a topic from the sources, and change the title. Set up a model for anything else.", strings.Join(unclear, ", ")))
	}
	code := "needs_model"
	if len(unclear) == 0 {
		code = "not_found_in_draft"
	}
	return fault.New(fault.Invalid, code, "%s", strings.Join(say, " "))
}

// can tells whether an order can be carried out.
func (v *revision) can(ctx context.Context, o order) (bool, error) {
	selected := v.wish.Selection != nil
	resolved := func(name string) (target, bool) { return v.outline.resolve(name, selected) }
	switch o.do {
	case retitle:
		t := line(unquoted(o.to))
		return t != "" && utf8.RuneCountInString(t) <= longTitle, nil
	case drop:
		t, ok := resolved(o.target)
		return ok && len(t.blocks) < len(v.blocks), nil
	case replace:
		return o.target != o.to && slices.ContainsFunc(v.items, func(s slot) bool { return v.within(s.Block) && len(places(v.body(s.Block), o.target)) > 0 }), nil
	case move:
		t, ok := resolved(o.target)
		if !ok || t.blocks == nil {
			return false, nil
		}
		_, ok = v.destination(o.to, t.blocks)
		return ok, nil
	case swap:
		a, ok := resolved(o.target)
		b, okB := resolved(o.to)
		return ok && okB && a.blocks != nil && b.blocks != nil && (last(a.blocks) < b.blocks[0] || last(b.blocks) < a.blocks[0]), nil
	case more:
		f, err := v.about(ctx, o.target)
		return f != nil && f.piece != nil, err
	case shorten:
		if o.target == "" {
			return true, nil
		}
		t, ok := resolved(o.target)
		return ok && t.blocks != nil, nil
	}
	return false, nil
}

func last(list []int) int { return list[len(list)-1] }

// carryOut does an order that can be done. Its target may be gone by an order before it; then nothing is left to do.
func (v *revision) carryOut(o order) {
	t, _ := v.outline.resolve(o.target, v.wish.Selection != nil)
	switch o.do {
	case retitle:
		v.state.Title = line(unquoted(o.to))
	case drop:
		v.drop(t)
	case replace:
		v.replaceAll(o.target, o.to)
	case move:
		if at, ok := v.destination(o.to, t.blocks); ok {
			v.moveTo(t.blocks, at)
		}
	case swap:
		to, _ := v.outline.resolve(o.to, v.wish.Selection != nil)
		v.swap(t.blocks, to.blocks)
	case more:
		v.add(v.found[o.target])
	case shorten:
		if o.target == "" {
			t.blocks = v.selected()
		}
		v.shorten(o, t.blocks)
	}
}

// text is what an item says now.
func (v *revision) text(i int) string {
	if s := v.items[i]; s.Text != "" || s.Block < 0 {
		return s.Text
	}
	return v.body(v.items[i].Block)
}

// item finds a block among the items.
func (v *revision) item(block int) int {
	return slices.IndexFunc(v.items, func(s slot) bool { return s.Block == block })
}

func (v *revision) drop(t target) {
	v.items = slices.DeleteFunc(v.items, func(s slot) bool { return slices.Contains(t.blocks, s.Block) })
	for k := len(t.claims) - 1; k >= 0; k-- {
		s := t.claims[k]
		if i := v.item(s.block); i >= 0 {
			v.without(i, v.body(s.block)[s.start:s.end])
		}
	}
}

// without takes a sentence, item or row out of an item. One of which nothing is left goes.
func (v *revision) without(i int, claimed string) {
	w := writing{Text: v.text(i)}
	for _, c := range cite.Claims(w.Text) {
		w.Claims = append(w.Claims, claim{Start: c.Start, Text: c.Text})
	}
	for k, c := range w.Claims {
		if c.Text == claimed {
			w.remove(k)
			break
		}
	}
	if w.Text = strings.Trim(w.Text, "\n"); len(w.Claims) == 0 {
		v.items = slices.Delete(v.items, i, i+1)
		return
	}
	v.items[i].Text = w.Text
}

// places finds a phrase in a text: as it is written, else whatever its case. Within words it is none.
func places(text, phrase string) (list []int) {
	for _, form := range []string{regexp.QuoteMeta(phrase), "(?i)" + regexp.QuoteMeta(phrase)} {
		for _, m := range regexp.MustCompile(form).FindAllStringIndex(text, -1) {
			if r, _ := utf8.DecodeRuneInString(phrase); r < utf8.RuneSelf && !whole(text, m[0], m[1]) {
				continue // Korean particles follow a word without a space
			}
			list = append(list, m[0], m[1])
		}
		if list != nil {
			return list
		}
	}
	return nil
}

// replaceAll puts a phrase in the place of another, and checks the sentences that have it now against what they quote.
func (v *revision) replaceAll(phrase, by string) {
	for i := range v.items {
		if s := v.items[i]; s.Block >= 0 && !v.within(s.Block) {
			continue
		}
		text := v.text(i)
		at := places(text, phrase)
		if at == nil {
			continue
		}
		w := writing{Text: text, Claims: v.keep(text, v.items[i].Claims)}
		for k := len(at) - 2; k >= 0; k -= 2 {
			for j := range w.Claims {
				if c := &w.Claims[j]; c.Start <= at[k] && at[k+1] <= c.Start+len(c.Text) {
					c.Text = c.Text[:at[k]-c.Start] + by + c.Text[at[k+1]-c.Start:]
					c.Edits = nil
				}
			}
			w.change(at[k], at[k+1], by)
		}
		for j := range w.Claims {
			if c := &w.Claims[j]; !strings.Contains(text, c.Text) {
				v.recheck(c)
			}
		}
		v.items[i].Text, v.items[i].Claims = w.Text, w.Claims
	}
}

// recheck compares a sentence that was changed as its author said with what it quotes.
func (v *revision) recheck(c *claim) {
	c.ID, c.Kept, c.Verdict = "", true, draft.Verify(c.Text, c.Spans, cite.Options{})
	if c.bad() {
		v.flagged = append(v.flagged, c.Text)
	}
}

// The words for a place to move to.
var (
	toBefore = regexp.MustCompile(`(?i)^(?:before|above|in front of|ahead of) (.+)$|^(.+?) ?(?:앞|위)(?:쪽)?$`)
	toBehind = regexp.MustCompile(`(?i)^(?:after|behind|below|under) (.+)$|^(.+?) ?(?:뒤|아래|다음)(?:쪽)?$`)
	toTop    = regexp.MustCompile(`(?i)^(?:(?:to|at|near) the (?:very )?(?:top|beginning|start|front)|first|(?:(?:맨|제일|가장) ?)(?:앞|위|처음)|처음)$`)
	toEnd    = regexp.MustCompile(`(?i)^(?:(?:to|at|near) the (?:very )?(?:end|bottom|back)|last|(?:(?:맨|제일|가장) ?)(?:뒤|끝|아래|마지막)|끝|마지막)$`)
)

// destination gives the block before which blocks are to stand; their number is behind the last one.
func (v *revision) destination(to string, blocks []int) (int, bool) {
	parts := v.outline.parts()
	switch {
	case toTop.MatchString(to):
		if len(parts) > 0 {
			return parts[0].from, parts[0].from != blocks[0]
		}
		return 0, blocks[0] != 0
	case toEnd.MatchString(to):
		if len(parts) > 0 {
			return parts[len(parts)-1].to, parts[len(parts)-1].to != last(blocks)+1
		}
		return len(v.blocks), last(blocks) != len(v.blocks)-1
	}
	at, name, behind := -1, "", false
	if m := toBefore.FindStringSubmatch(to); m != nil {
		name = m[1] + m[2]
	} else if m := toBehind.FindStringSubmatch(to); m != nil {
		name, behind = m[1]+m[2], true
	}
	t, ok := v.outline.resolve(name, false)
	if !ok || t.blocks == nil || slices.Contains(blocks, t.blocks[0]) {
		return at, false
	}
	if at = t.blocks[0]; behind {
		at = last(t.blocks) + 1
	}
	return at, at != blocks[0] && at != last(blocks)+1
}

// moveTo carries blocks before another one.
func (v *revision) moveTo(blocks []int, before int) {
	var carried, rest []slot
	for _, s := range v.items {
		if slices.Contains(blocks, s.Block) {
			carried = append(carried, s)
			continue
		}
		rest = append(rest, s)
	}
	at := slices.IndexFunc(rest, func(s slot) bool { return s.Block >= before })
	if at < 0 {
		at = len(rest)
	}
	v.items = slices.Insert(rest, at, carried...)
}

func (v *revision) swap(a, b []int) {
	if last(b) < a[0] {
		a, b = b, a
	}
	behind := last(b) + 1
	v.moveTo(b, a[0])
	v.moveTo(a, behind)
}

// topicWords is how much is added on a topic.
const topicWords = 120

// about finds what the sources have on a topic that the draft does not have yet.
func (v *revision) about(ctx context.Context, topic string) (*finding, error) {
	if f, ok := v.found[topic]; ok || len(v.sources) == 0 {
		return f, nil
	}
	v.found[topic] = nil
	if v.docs == nil {
		v.docs = v.sources
		labels := v.labels
		if err := v.read(ctx); err != nil {
			return nil, v.lostSource(ctx, err)
		}
		v.labels = labels
	}
	title := unquoted(topic)
	answer, err := v.find(ctx, title, v.round.wish.DocumentIDs)
	if err != nil || !answer.Evidence {
		return nil, err
	}
	sec := summarize.Section{Title: capital(title), Origin: summarize.FromTopic, Query: title}
	filled := v.survey.Fill([]summarize.Section{sec}, [][]summarize.Evidence{v.evidence(answer)}, 2*topicWords)
	f := &finding{section: section{Section: sec}}
	v.found[topic] = f
	for _, s := range filled.Sections {
		words := 0
		s.Units = slices.DeleteFunc(s.Units, func(unit int) bool {
			u := v.survey.Units[unit]
			if v.quotes(u) || words >= topicWords {
				return true
			}
			words += u.Words
			return false
		})
		if len(s.Units) > 0 {
			f.piece = v.section("more", s)
		}
	}
	return f, nil
}

// capital makes a topic a heading.
func capital(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return strings.ToUpper(string(r)) + s[n:]
}

// quotes tells whether the draft has a unit of a source already.
func (v *revision) quotes(u summarize.Unit) bool {
	id := v.docs[u.Source].ID
	for _, c := range v.base.Citations {
		if slices.ContainsFunc(c.Spans, func(s draft.Span) bool { return s.DocumentID == id && s.Start < u.End && u.Start < s.End }) {
			return true
		}
	}
	return strings.Contains(v.base.Content, v.survey.Sources[u.Source].Text.Content[u.Start:u.End])
}

// add puts what was found at the end of the section that is about it, else into a new one before the sources.
func (v *revision) add(f *finding) {
	if f == nil || f.piece == nil {
		return
	}
	text, claims := strings.TrimRight(f.piece.text.String(), "\n"), slices.Clone(f.piece.claims)
	behind := len(v.blocks)
	if s, ok := v.outline.section(f.section.Title); ok {
		head := strings.Index(text, "\n\n") + 2
		text, behind = text[head:], s.to
		for i := range claims {
			claims[i].Start -= head
		}
	} else {
		for _, s := range v.outline.sections {
			if isApparatus(s.title) {
				behind = s.from
				break
			}
		}
	}
	if v.wish.Selection != nil {
		behind = last(v.selected()) + 1
	}
	for i := range claims {
		v.checkExtract(&claims[i])
	}
	at := slices.IndexFunc(v.items, func(s slot) bool { return s.Block >= behind })
	if at < 0 {
		at = len(v.items)
	}
	v.items = slices.Insert(v.items, at, slot{Block: -1, Text: text, Claims: claims})
}

// cuttable is what can be taken out to make the draft shorter: a sentence or item, or a block that is nothing without all of it.
type cuttable struct {
	block  int
	text   string // of the claim; empty: the whole block
	words  int
	weight float64
	part   int // which section it stands in
}

// shorten takes out what is least central, until the draft, or a part of it, is as long as was asked for. Each section keeps something.
func (v *revision) shorten(o order, blocks []int) {
	measure := func() (n int) {
		for i, s := range v.items {
			if s.Block >= 0 && !slices.Contains(blocks, s.Block) {
				continue
			}
			if o.unit == "chars" {
				n += utf8.RuneCountInString(v.text(i))
			} else {
				n += summarize.Words(v.text(i))
			}
		}
		return n
	}
	have := measure()
	want := int(o.n)
	switch {
	case o.unit == "share" && o.n < 0:
		want = int(float64(have) * (1 + o.n))
	case o.unit == "share":
		want = int(float64(have) * o.n)
	case o.n < 0:
		want = have + int(o.n)
	}
	list := v.cuttables(blocks, o.unit == "chars")
	left := map[int]int{} // what each section has
	for _, c := range list {
		left[c.part]++
	}
	slices.SortStableFunc(list, func(a, b cuttable) int { return cmp.Or(cmp.Compare(a.weight, b.weight), b.block-a.block) })
	for _, exact := range []bool{true, false} { // first without going far below
		for _, c := range list {
			if have <= want {
				break
			}
			i := v.item(c.block)
			if left[c.part] <= 1 || i < 0 || exact && have-c.words < want-want/10 || c.text != "" && !strings.Contains(v.text(i), c.text) {
				continue
			}
			if c.text == "" {
				v.items = slices.Delete(v.items, i, i+1)
			} else {
				v.without(i, c.text)
			}
			left[c.part]--
			have = measure()
		}
	}
	if have > want+want/10 {
		unit := "words"
		if o.unit == "chars" {
			unit = "characters"
		}
		v.said = append(v.said, notice("length", "It has %d %s now; %d were asked for. Without a model only whole sentences are taken out, and each section keeps one.", have, unit, want))
	}
}

// cuttables are what could go of blocks, with what it weighs in the draft.
func (v *revision) cuttables(blocks []int, chars bool) (list []cuttable) {
	part := -1
	fixed := false
	for i, b := range v.blocks {
		if b.Kind == textdiff.Heading {
			part++
			fixed = isApparatus(headingText(v.body(i)))
		}
		k := v.item(i)
		if k < 0 || fixed || !slices.Contains(blocks, i) || b.Kind == textdiff.Heading || b.Kind == textdiff.Rule || b.Kind == textdiff.Quote && part < 0 {
			continue
		}
		put := func(text, all string, start, end int) {
			c := cuttable{block: i, text: text, words: summarize.Words(all), weight: v.weight(start, end), part: part}
			if chars {
				c.words = utf8.RuneCountInString(all)
			}
			list = append(list, c)
		}
		if b.Kind != textdiff.Paragraph && b.Kind != textdiff.List {
			put("", v.text(k), b.Start, b.Stop)
			continue
		}
		claims := cite.Claims(v.body(i))
		for n, c := range claims {
			if strings.HasSuffix(c.Text, ":") {
				continue // it announces what follows
			}
			if _, _, leans := cite.LeadingPronoun(nextOf(claims, n)); leans {
				continue // the next sentence would speak of something else
			}
			put(c.Text, c.Text, b.Start+c.Start, b.Start+c.End)
		}
	}
	return list
}

func nextOf(claims []cite.Claim, n int) string {
	if n+1 < len(claims) {
		return claims[n+1].Text
	}
	return ""
}

// weight is that of the most central unit in a stretch of the draft.
func (v *revision) weight(start, end int) (most float64) {
	for i, u := range v.own.Units {
		if u.Start < end && start < u.End {
			most = max(most, v.own.Weight(i))
		}
	}
	return most
}
