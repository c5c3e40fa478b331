package agent

import (
	"regexp"
	"strconv"
	"strings"
)

// order is a thing to do with a draft that needs no model.
type order struct {
	do     deed
	target string  // what it is done to, in the author's words; empty: the whole draft, or what was selected
	to     string  // with what, or where to
	n      float64 // a length: words, characters, or a share of what there is
	unit   string  // of n: words, chars, share
}

// deed is what an order does.
type deed string

// The deeds, in the order in which they are done.
const (
	retitle deed = "title"
	drop    deed = "drop"
	replace deed = "replace"
	move    deed = "move"
	swap    deed = "swap"
	more    deed = "more"
	shorten deed = "shorten"
)

var deeds = []deed{retitle, drop, replace, move, swap, more, shorten}

// quotes are the pairs that may stand around a phrase.
const (
	quotedX = `(?:"([^"\n]+)"|“([^”\n]+)”|‘([^’\n]+)’|'([^'\n]+)'|「([^」\n]+)」|『([^』\n]+)』|«([^»\n]+)»|„([^“”\n]+)[“”]|` + "`([^`\n]+)`" + `)`
	groups  = 9 // of quotedX
)

// grammar is a form of words with what it means.
type grammar struct {
	form *regexp.Regexp
	make func(m []string) (order, bool)
}

func says(form string, make func(m []string) (order, bool)) grammar {
	return grammar{regexp.MustCompile(`(?i)^(?:` + form + `)$`), make}
}

// picked is the phrase of a quotedX whose groups begin at i.
func picked(m []string, i int) string { return strings.Join(m[i:i+groups], "") }

func length(n, unit string) (order, bool) {
	v, err := strconv.ParseFloat(strings.ReplaceAll(n, ",", ""), 64)
	if err != nil || v <= 0 {
		return order{}, false
	}
	o := order{do: shorten, n: v, unit: "words"}
	switch unit = strings.ToLower(strings.TrimSpace(unit)); {
	case strings.HasPrefix(unit, "char") || strings.HasPrefix(unit, "letter") || unit == "자" || unit == "글자":
		o.unit = "chars"
	case unit == "%" || strings.HasPrefix(unit, "per") || unit == "퍼센트" || unit == "프로":
		o.n, o.unit = v/100, "share"
	}
	return o, true
}

// shares of a draft that is to be shorter, by how much.
func shorter(how string) float64 {
	switch how = strings.ToLower(how); {
	case strings.Contains(how, "half") || strings.Contains(how, "절반") || strings.Contains(how, "반으로"):
		return .5
	case strings.Contains(how, "third"):
		return 2. / 3
	case strings.Contains(how, "much"), strings.Contains(how, "lot"), strings.Contains(how, "훨씬"), strings.Contains(how, "많이"):
		return .5
	case strings.Contains(how, "bit"), strings.Contains(how, "little"), strings.Contains(how, "slightly"), strings.Contains(how, "조금"), strings.Contains(how, "약간"):
		return .85
	}
	return .7
}

const (
	unitsOf   = `(words?|characters?|chars?|letters?|%|per ?cent)`
	koUnits   = `(단어|어절|글자|자|%|퍼센트|프로)`
	wholePost = `(?:it|this|everything|all|(?:the|this|my) (?:whole |entire )?(?:post|draft|text|article|blog post|blog))`
	koEnd     = `[가-힣]{0,5}(?:\s*(?:써|적어|줄여|줄이|다뤄|설명해|해|하|만들어|바꿔|고쳐|넣어|빼|버려))?` +
		`(?:\s*(?:줘요?|줄래요?|주세요|주십시오|주시기|주시겠어요|바랍니다|바라|부탁해요?|부탁드립니다|부탁합니다|좋겠다|좋겠어요?|싶어요?))*`
	koPart   = `(?:(.+?)\s*(?:을|를|은|는|이|가)\s+)?`
	koObject = `\s*(?:을|를|은|는|이|가)\s+`
)

// of is the target of an order, without words for the whole draft.
func of(s string) string {
	s = strings.TrimSpace(s)
	if wholeWords.MatchString(s) {
		return ""
	}
	return s
}

var wholeWords = regexp.MustCompile(`(?i)^(?:` + wholePost + `)?$|^(?:이 |전체 )?(?:글|초안|본문|문서|전체)$`)

var grammars = []grammar{
	// titles
	says(`(?:change|set|make|rename) (?:the )?(?:post'?s? )?title (?:to|into|as)?:? ?`+quotedX, func(m []string) (order, bool) { return order{do: retitle, to: picked(m, 1)}, true }),
	says(`(?:re)?(?:title|name|call) (?:it|this|the post|the draft)(?: to| as)?:? `+quotedX, func(m []string) (order, bool) { return order{do: retitle, to: picked(m, 1)}, true }),
	says(`(?:change|set) the title to:? (.+)`, func(m []string) (order, bool) { return order{do: retitle, to: m[1]}, true }),
	says(`(?:new )?title: (.+)`, func(m []string) (order, bool) { return order{do: retitle, to: m[1]}, true }),
	says(`(?:글의? )?제목(?:을|은|를)? `+quotedX+`\s*(?:으로|로|라고|이라고)?`+koEnd, func(m []string) (order, bool) { return order{do: retitle, to: picked(m, 1)}, true }),
	says(`제목: ?(.+)`, func(m []string) (order, bool) { return order{do: retitle, to: m[1]}, true }),
	// phrases
	says(`(?:replace|change|substitute|correct) (?:the (?:words?|phrase|term) )?`+quotedX+` (?:with|by|to|into|for) `+quotedX+`(?: everywhere| throughout)?`, func(m []string) (order, bool) {
		return order{do: replace, target: picked(m, 1), to: picked(m, 1+groups)}, true
	}),
	says(`(?:write|say|use|put) `+quotedX+` (?:instead of|in(?:stead)? (?:the )?place of|for|rather than|not) `+quotedX, func(m []string) (order, bool) {
		return order{do: replace, target: picked(m, 1+groups), to: picked(m, 1)}, true
	}),
	says(`instead of `+quotedX+`,? (?:write|say|use|put) `+quotedX, func(m []string) (order, bool) {
		return order{do: replace, target: picked(m, 1), to: picked(m, 1+groups)}, true
	}),
	says(quotedX+`\s*(?:을|를|은|는|이|가)?\s*(?:모두 )?`+quotedX+`\s*(?:으로|로)\s*(?:모두 )?(?:바꾸|바꿔|고치|고쳐|교체|변경|수정|대체)`+koEnd, func(m []string) (order, bool) {
		return order{do: replace, target: picked(m, 1), to: picked(m, 1+groups)}, true
	}),
	says(quotedX+`\s*대신(?:에)?\s*`+quotedX+`\s*(?:을|를|으로|로|라고|이라고)?`+koEnd, func(m []string) (order, bool) {
		return order{do: replace, target: picked(m, 1), to: picked(m, 1+groups)}, true
	}),
	// lengths
	says(`(?:make|keep|get|cut|shorten|reduce|trim|limit|bring) ?(.*?) ?(?:down )?(?:(?:shorter|down)[,:]? )?to (?:about |around |at most |no more than |under |max(?:imum)? |ca\.? )?([\d,]+) ?`+unitsOf, func(m []string) (order, bool) {
		o, ok := length(m[2], m[3])
		o.target = of(m[1])
		return o, ok
	}),
	says(`(?:make|keep|get|write|want) (.*?) ?(?:in |at |be )?(?:about |around |at most |no more than |under |only |just )?([\d,]+)[ -]words?(?: long| short| at most)?`, func(m []string) (order, bool) {
		o, ok := length(m[2], "words")
		o.target = of(m[1])
		return o, ok
	}),
	says(`(?:in |to )?(?:about |around |at most |no more than |max(?:imum)? )?([\d,]+) words(?: at most| max(?:imum)?)?`, func(m []string) (order, bool) { return length(m[1], "words") }),
	says(`(?:make|cut|shorten|reduce|trim) ?(.*?) ?(?:shorter )?(?:down )?by (?:about |around )?([\d,]+) ?`+unitsOf+`(?: shorter)?`, func(m []string) (order, bool) {
		o, ok := length(m[2], m[3])
		o.target, o.n = of(m[1]), -o.n // less
		return o, ok && o.n > -1 || o.unit != "share" && ok
	}),
	says(`(?:make|cut|shorten|reduce|trim) ?(.*?) ?(?:about )?([\d,]+) ?(%|per ?cent) shorter`, func(m []string) (order, bool) {
		o, ok := length(m[2], m[3])
		o.target, o.n = of(m[1]), -o.n
		return o, ok && o.n > -1
	}),
	says(`(?:make |cut |shorten |reduce |trim )(.*?) ?(?:down )?(?:(?:in|to|by) (?:about )?(?:a |one )?(half)|(half) as long|half the length|(?:in|by) (?:a |one )?(third))(?: of its length)?`, func(m []string) (order, bool) {
		return order{do: shorten, target: of(m[1]), n: shorter(m[2] + m[3] + m[4] + half(m[0])), unit: "share"}, true
	}),
	says(`(?:make|keep|get|write) (.+?) ?(much |a lot |a (?:little )?bit |a little |slightly |even )?(?:shorter|briefer|more concise|more succinct|tighter|short|concise|brief)`, func(m []string) (order, bool) {
		return order{do: shorten, target: of(m[1]), n: shorter(m[2]), unit: "share"}, true
	}),
	says(`(much |a lot |a (?:little )?bit |a little |slightly )?(?:shorter|briefer|more concise)`, func(m []string) (order, bool) { return order{do: shorten, n: shorter(m[1]), unit: "share"}, true }),
	says(`(?:shorten|condense|trim|tighten|abridge)(?: (.+?))??( (?:by )?(?:a lot|a (?:little )?bit|a little|slightly|much))?`, func(m []string) (order, bool) {
		return order{do: shorten, target: of(m[1]), n: shorter(m[2]), unit: "share"}, true
	}),
	says(koPart+`([\d,]+) ?`+koUnits+` ?(?:정도)?(?:로|까지|이내로|이하로|내로)`+koEnd, func(m []string) (order, bool) {
		o, ok := length(m[2], m[3])
		o.target = of(m[1])
		return o, ok
	}),
	says(koPart+`([\d,]+) ?`+koUnits+` ?(?:정도|만큼)? ?(?:더 )?(?:줄이|줄여|짧게)`+koEnd, func(m []string) (order, bool) {
		o, ok := length(m[2], m[3])
		o.target, o.n = of(m[1]), -o.n
		return o, ok
	}),
	says(koPart+`((?:훨씬 |조금 |약간 |많이 |절반으로 |반으로 )?)(?:더 )?(?:짧게|짧은|줄이|줄여|간결하게|간략하게|간단하게|요약)`+koEnd, func(m []string) (order, bool) {
		return order{do: shorten, target: of(m[1]), n: shorter(m[2]), unit: "share"}, true
	}),
	// places
	says(`(?:swap|exchange|switch) (.+?) (?:and|with) (.+)`, func(m []string) (order, bool) { return order{do: swap, target: m[1], to: m[2]}, true }),
	says(`(?:move|put|place|bring|shift) (.+?) (?:right |directly )?((?:before|after|behind|above|below|under|in front of|ahead of) .+|to the (?:very )?(?:top|beginning|start|front|end|bottom|back)|(?:at|near) the (?:very )?(?:top|beginning|start|end|bottom)|first|last)`, func(m []string) (order, bool) {
		return order{do: move, target: m[1], to: m[2]}, true
	}),
	says(`(.+?)\s*(?:와|과|하고|랑)\s+(.+?)(?:의)?\s*(?:순서를|순서|자리를|위치를|을|를)?\s*(?:서로 )?(?:바꾸|바꿔|맞바꾸|맞바꿔|교환)`+koEnd, func(m []string) (order, bool) { return order{do: swap, target: m[1], to: m[2]}, true }),
	says(`(.+?)`+koObject+`(.+? ?(?:앞|뒤|위|아래|다음)(?:쪽)?)(?:에|으로|로)\s*(?:옮기|옮겨|이동|보내|놓|두|배치)`+koEnd, func(m []string) (order, bool) { return order{do: move, target: m[1], to: m[2]}, true }),
	says(`(.+?)`+koObject+`((?:맨|제일|가장) ?(?:앞|위|처음|뒤|끝|아래|마지막)|처음|끝|마지막)(?:에|으로|로)\s*(?:옮기|옮겨|이동|보내|놓|두|배치)`+koEnd, func(m []string) (order, bool) { return order{do: move, target: m[1], to: m[2]}, true }),
	// what goes
	says(`(?:drop|delete|remove|cut(?: out)?|take out|leave out|omit|get rid of|strike|skip|erase|without) (.+)`, func(m []string) (order, bool) { return order{do: drop, target: m[1]}, true }),
	says(`take (.+) out`, func(m []string) (order, bool) { return order{do: drop, target: m[1]}, true }),
	says(`(.+?)\s*(?:을|를|은|는|이|가)?\s*(?:전부 |모두 |다 )?(?:삭제|제거|빼|지우|지워|없애|생략)`+koEnd, func(m []string) (order, bool) { return order{do: drop, target: m[1]}, true }),
	// what comes
	says(`(?:add|write|say|include|give|put in|tell)(?: me)? (?:some |a (?:little|bit) |much )?(?:more )?(?:details?|information|something|a section|a paragraph|text|content)?\s*(?:on|about|of|regarding|concerning) (.+)`, func(m []string) (order, bool) { return order{do: more, target: m[1]}, true }),
	says(`(?:some |a bit |much )?more (?:details? |information |text )?(?:on|about|of) (.+)`, func(m []string) (order, bool) { return order{do: more, target: m[1]}, true }),
	says(`(?:expand|elaborate|extend)(?: on| upon)? (.+)`, func(m []string) (order, bool) { return order{do: more, target: m[1]}, true }),
	says(`(.+?)\s*(?:에 대해서?|에 대하여|에 관해서?|에 대한|에 관한)\s*(?:내용|설명|정보|단락|문단|섹션)?(?:을|를)?\s*(?:좀 )?(?:더 |추가로 )?(?:추가|자세히|자세하게|많이|넣|써|적|설명|보강|늘리|늘려|다루|다뤄)`+koEnd, func(m []string) (order, bool) {
		return order{do: more, target: m[1]}, true
	}),
	says(`(.+?)\s*(?:을|를) (?:더 )?(?:추가|보강|자세히|자세하게)`+koEnd, func(m []string) (order, bool) { return order{do: more, target: m[1]}, true }),
}

// half says so where the form has it in words that no group takes.
func half(s string) string {
	if strings.Contains(strings.ToLower(s), "half") {
		return "half"
	}
	return ""
}

var (
	polite = regexp.MustCompile(`(?i)^(?:(?:please|now|also|and|then|but|so|just|could you|can you|would you|i(?:'d| would) like you to|i want you to|let'?s|그리고|또한?|이제|좀)[, ]+)+|[\s,;.!?]*(?:,? please|thanks|thank you)?[\s,;.!?。]*$`)
	joints = regexp.MustCompile(`(?i)[,;.\n。]+\s*(?:(?:and|then|also|but|그리고|또한?)\s+)*|\s+(?:and|then|but)\s+(?:(?:then|also)\s+)?|\s*(?:그리고|또한)\s+|고,?\s+|며,?\s+`)
	strong = regexp.MustCompile(`^\s*(?:[,;.\n。]|그리고|또한|and |but |then )`)
)

// readOrder reads one order.
func readOrder(text string) []order {
	text = strings.Join(strings.Fields(text), " ")
	text = strings.TrimSpace(polite.ReplaceAllString(text, ""))
	var list []order
	for _, g := range grammars {
		if m := g.form.FindStringSubmatch(text); m != nil {
			if o, ok := g.make(m); ok {
				list = append(list, o)
			}
		}
	}
	return list
}

// readOrders cuts what the author wants into orders: always the longest begin that can be done. What can be done with none of its
// meanings is left.
func readOrders(text string, can func(order) bool) (done []order, left []string) {
	rest := strings.TrimSpace(text)
	for rest != "" {
		cuts := joints.FindAllStringIndex(rest, -1)
		cuts = append(cuts, []int{len(rest), len(rest)})
		o, cut, ok := longestOrder(rest, cuts, done, can)
		if ok {
			done = append(done, o)
			rest = strings.TrimSpace(rest[cut:])
			continue
		}
		at := unclear(rest, cuts)
		if piece := strings.Trim(rest[:at[0]], " ,;.!"); piece != "" && strings.Trim(strings.ToLower(piece), " ") != "please" {
			left = append(left, piece)
		}
		rest = strings.TrimSpace(rest[at[1]:])
	}
	return done, left
}

// unclear is the cut behind the first piece of a text that cannot be done: the shortest order that can be read, else what ends with a sign.
func unclear(rest string, cuts [][]int) []int {
	for _, c := range cuts {
		if !inQuotes(rest, c[0]) && len(readOrder(rest[:c[0]])) > 0 {
			return c
		}
	}
	for _, c := range cuts {
		if strong.MatchString(rest[c[0]:c[1]]) && !inQuotes(rest, c[0]) {
			return c
		}
	}
	return cuts[len(cuts)-1]
}

// longestOrder finds the longest begin of a text that can be done, and where it ends.
func longestOrder(rest string, cuts [][]int, before []order, can func(order) bool) (order, int, bool) {
	for i := len(cuts) - 1; i >= 0; i-- {
		if inQuotes(rest, cuts[i][0]) {
			continue
		}
		piece := rest[:cuts[i][0]]
		list := readOrder(piece)
		if len(list) == 0 && len(before) > 0 && before[len(before)-1].do == drop { // "drop the table and the list"
			list = readOrder("drop " + strings.TrimSpace(polite.ReplaceAllString(piece, "")))
		}
		for _, o := range list {
			if (o.do == more || o.do == retitle) && another(rest, cuts[:i], cuts[i][0]) {
				continue // what is added, or the title, takes any words: not those of the next order
			}
			if can(o) {
				return o, cuts[i][1], true
			}
		}
	}
	return order{}, 0, false
}

// another tells whether an order begins behind one of the cuts.
func another(rest string, cuts [][]int, end int) bool {
	for _, c := range cuts {
		if !inQuotes(rest, c[0]) && len(readOrder(rest[c[1]:end])) > 0 {
			return true
		}
	}
	return false
}

// inQuotes tells whether a place stands between straight or curly double quotes, or after a single one that begins a word.
func inQuotes(text string, at int) bool {
	for _, m := range quotedPart.FindAllStringIndex(text, -1) {
		if m[0] < at && at < m[1] {
			return true
		}
	}
	return false
}

var quotedPart = regexp.MustCompile(`"[^"\n]*"|“[^”\n]*”|‘[^’\n]*’|(?:^|[\s(])'[^'\n]+'|「[^」\n]*」|『[^』\n]*』|«[^»\n]*»|` + "`[^`\n]*`")
