package summarize

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"byline/internal/engine/extract"
)

// preamble is how much of a text's begin may say that it was replaced, in bytes.
const preamble = 400

var (
	// archived are the words by which a text says so of itself. Those that name a thing as well ("the archive of the town", "disposal of
	// papers") count only in brackets or at the end of a name.
	archived = regexp.MustCompile(`(?i)(?:^|[\s.:;*_(\[/-])(archived|superseded|obsolete|deprecated|withdrawn|outdated|discontinued|(?:archive|old|previous|former) (?:copy|version|edition)|no longer (?:valid|in force|maintained)|replaced by (?:(?:the|an?|our) )?(?:[a-z]+ ){0,2}(?:version|edition|plan|document|guide|policy))(?:$|[\s.:;,*_)\]/-])` +
		`|[_(\[-](archive|old|구판?|보관|폐기|폐지|무효)(?:$|[_)\]-]|\.\pL{2,4}$)` +
		`|(구\s?버전|이전\s?버전|지난\s?버전|개정\s?전|폐기(?:된|됨|되었(?:습니다|음|다)?|\s?문서)|폐지(?:된|됨|되었(?:습니다|음|다)?)|보관용|보관\s?문서|대체(?:된|됨|되었(?:습니다|음|다)?)|효력을? ?(?:상실|잃)|더\s?이상\s?(?:유효하지|사용하지))`)
	isoDate = regexp.MustCompile(`(?:^|\D)((?:19|20)\d\d)(?:[-_./년]\s?(0?[1-9]|1[0-2])(?:(?:[-_./월]\s?)(0?[1-9]|[12]\d|3[01]))?)?(?:\D|$)`)
	monthly = regexp.MustCompile(`(?i)(?:\b(\d{1,2})\.? )?\b(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.? (?:(\d{1,2}),? )?((?:19|20)\d\d)\b`)
	// series are titles that return with a new date without replacing what was before.
	series = regexp.MustCompile(`(?i)\b(minutes|protocol|newsletter|report|review|diary|journal|log|bulletin|gazette|survey|results|statement|invoice|letter)s?\b|회의록|보고서?|소식|일지|조사|신문|결산|실적|명세서|청구서|편지`)
	// numbered versions: "v2", "version 1.4", "제3판", "2차 개정".
	edition  = regexp.MustCompile(`(?i)(?:^|[\s_(\[-])(?:v|ver\.?|version|rev\.?|revision|edition|개정|버전|제)\s?(\d{1,3}(?:\.\d{1,3})*)(?:판|차)?(?:$|[\s_)\].,:-]|차|판)|(\d{1,3})차\s?개정`)
	versions = regexp.MustCompile(`(?i)\b(v\d+(\.\d+)*|version|ver|rev|revision|draft|final|copy|january|february|march|april|may|june|july|august|september|october|november|december|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)\b|\d{1,4}\s?[년월일차판호]|구\s?버전|이전\s?버전|개정\s?[전후판]?|보관용?|폐기|버전|최종|최신|초안|수정본?|신규|archived?|superseded|obsolete|deprecated|outdated`)
)

// day is a date as a number that sorts: year*10000 + month*100 + day; what is not told is 0.
type day int

// supersede finds the sources that others replace. When all of them say so nobody is left out.
func (s *Survey) supersede() {
	found := map[int]Supersession{}
	editions := make([]string, len(s.Sources))
	families := make([]string, len(s.Sources))
	dates := make([]day, len(s.Sources))
	for i, src := range s.Sources {
		dates[i] = dateOf(src, s.Titles[i])
		editions[i] = editionOf(src, s.Titles[i])
		families[i] = familyOf(s.Titles[i])
		if m := marker(src, s.Titles[i]); m != "" {
			found[i] = Supersession{Source: i, By: -1, Reason: Marked, Marker: m}
		}
	}
	later := func(a, b int) bool { // whether a is a later version than b
		if editions[a] != "" && editions[b] != "" && editions[a] != editions[b] {
			return newerEdition(editions[a], editions[b])
		}
		return dates[b] > 0 && dates[a] > dates[b]
	}
	for i := range s.Sources {
		by := -1
		for j := range s.Sources {
			if f, gone := found[j]; gone && f.Reason == Marked || j == i || families[i] == "" || families[j] != families[i] {
				continue
			}
			_, marked := found[i]
			if (later(j, i) || marked && !later(i, j)) && (by < 0 || later(j, by)) {
				by = j
			}
		}
		if by < 0 {
			continue
		}
		if m, is := found[i]; is {
			m.By = by
			found[i] = m
		} else if !series.MatchString(s.Titles[i]) {
			found[i] = Supersession{Source: i, By: by, Reason: Older}
		}
	}
	if len(found) == len(s.Sources) {
		return
	}
	for i := range s.Sources {
		if f, is := found[i]; is {
			s.Superseded = append(s.Superseded, f)
		}
	}
}

// marker is the word by which a source says that it was replaced: in its name, its title or the lines before its sections.
func marker(src Source, title string) string {
	for _, where := range []string{src.Name, title, imprint(src)} {
		if m := archived.FindStringSubmatch(where); m != nil {
			return strings.ToLower(strings.TrimSpace(cmp.Or(m[1], m[2], m[3])))
		}
	}
	return ""
}

// imprint is what a source says of itself at its begin: the short lines before its second heading, of running text the first
// two.
func imprint(src Source) string {
	const short, few = 120, 2
	begin := head(src.Text.Content, preamble)
	headings := 0
	for _, e := range src.Text.Elements {
		if e.Start >= len(begin) {
			break
		}
		if e.Kind == extract.Heading {
			if headings++; headings == 2 {
				begin = begin[:e.Start]
				break
			}
		}
	}
	var lines []string
	for line := range strings.Lines(begin) {
		if headings == 0 && len(lines) == few {
			break
		}
		if len(line) <= short && strings.TrimSpace(line) != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

// editionOf is the number of a version in the title or name of a source, empty where there is none.
func editionOf(src Source, title string) string {
	for _, where := range []string{title, src.Name} {
		if m := edition.FindStringSubmatch(where); m != nil {
			return cmp.Or(m[1], m[2])
		}
	}
	return ""
}

// newerEdition compares numbers of versions part by part: 1.10 is newer than 1.9.
func newerEdition(a, b string) bool {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	for i := range max(len(x), len(y)) {
		m, n := 0, 0
		if i < len(x) {
			m = number(x[i])
		}
		if i < len(y) {
			n = number(y[i])
		}
		if m != n {
			return m > n
		}
	}
	return false
}

// dateOf is the date that a source bears in its name, its title or its first lines; 0 when it has none.
func dateOf(src Source, title string) day {
	for _, where := range []string{src.Name, title, imprint(src)} {
		if d := firstDate(where); d > 0 {
			return d
		}
	}
	return 0
}

func firstDate(s string) day {
	if m := monthly.FindStringSubmatch(s); m != nil {
		month := 1 + slices.Index([]string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}, strings.ToLower(m[2]))
		return day(number(m[4])*10000 + month*100 + number(cmp.Or(m[1], m[3])))
	}
	if m := isoDate.FindStringSubmatch(s); m != nil {
		return day(number(m[1])*10000 + number(m[2])*100 + number(m[3]))
	}
	return 0
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}

// familyOf is what the titles of the versions of one text have in common: no dates, numbers and words for versions.
func familyOf(title string) string {
	title = versions.ReplaceAllString(strings.ToLower(title), " ")
	words := strings.FieldsFunc(title, func(r rune) bool { return !unicode.IsLetter(r) })
	return strings.Join(words, " ")
}

// sameText is the cosine from which on two units say the same in the same words.
const sameText = 0.86

// drop leaves out what is not for the body: units of superseded sources, and copies. Of copies the one of the later source
// stays, else the first. Only units that share one of their rarest terms are compared.
func (s *Survey) drop() {
	gone := map[int]bool{}
	for _, x := range s.Superseded {
		gone[x.Source] = true
	}
	dates := make([]day, len(s.Sources))
	for i, src := range s.Sources {
		dates[i] = dateOf(src, s.Titles[i])
	}
	const rarest = 3
	holders := map[int][]int{}
	for i := range s.Units {
		u := &s.Units[i]
		if gone[u.Source] {
			u.outside = true
			continue
		}
		keys := slices.Clone(u.terms)
		slices.SortStableFunc(keys, func(a, b entry) int { return s.vocabulary.df[a.term] - s.vocabulary.df[b.term] })
		keys = keys[:min(rarest, len(keys))]
		for _, k := range keys {
			for _, j := range holders[k.term] {
				if other := &s.Units[j]; !other.outside && !u.outside && s.same(j, i) {
					if later := s.later(dates, u.Source, other.Source); later {
						other.outside = true
					} else {
						u.outside = true
					}
				}
			}
		}
		for _, k := range keys {
			if len(holders[k.term]) < crowd {
				holders[k.term] = append(holders[k.term], i)
			}
		}
	}
}

func (s *Survey) later(dates []day, a, b int) bool {
	if dates[a] != dates[b] {
		return dates[a] > dates[b]
	}
	return dates[a] == 0 && s.Sources[a].Created.After(s.Sources[b].Created)
}

// same tells whether two units are copies: nearly the same words and exactly the same figures.
func (s *Survey) same(a, b int) bool {
	x, y := &s.Units[a], &s.Units[b]
	return cosine(x.terms, y.terms) >= sameText && slices.Equal(figures(s.Quote(a)), figures(s.Quote(b)))
}

// figures are the numbers of a text, in order.
func figures(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return !unicode.IsDigit(r) })
}
