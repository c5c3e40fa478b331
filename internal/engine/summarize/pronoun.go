package summarize

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"byline/internal/engine/cite"
)

// resolve gives the edits that put what a sentence's leading pronoun stands for in its place. Only the subject of the sentence right
// before it will do, and only where nothing else can be meant: a wrong name is worse than a sentence that is left out.
func (s *Survey) resolve(id int) ([]cite.Edit, bool) {
	u := s.Units[id]
	if u.Kind != Sentence || !u.leans || !s.follows(id) || s.Units[id-1].leans || s.Units[id-1].Kind != Sentence {
		return nil, false
	}
	quote, before := s.Quote(id), s.Quote(id-1)
	at, pronoun, ok := cite.LeadingPronoun(quote)
	if !ok || expletive.MatchString(quote[at:]) || asks(before) {
		return nil, false
	}
	if e, leads := cite.LeadingConnective(before); leads {
		before = before[len(e.Drop)-len(e.Put):]
	}
	name := ""
	switch pronoun = strings.ToLower(pronoun); pronoun {
	case "it", "its":
		name = s.thing(before, false)
	case "they", "their":
		name = s.thing(before, true)
	case "he", "she", "his", "her":
		name = s.onlyPerson(before)
	case "그는", "그녀는":
		if name = koreanSubject(before); !koreanTitle.MatchString(name) {
			return nil, false
		}
	case "그들은", "이들은":
		if name = koreanSubject(before); !strings.HasSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "은"), "이"), "들") {
			return nil, false
		}
	}
	if name == "" {
		return nil, false
	}
	return cite.Resolve(quote, name)
}

// expletive sentences begin with a pronoun that stands for nothing that was named.
var expletive = regexp.MustCompile(`^(?i)it (\S+ )?(is|was|has been|had been|would be|will be|may be|seems?|takes|took|costs?|turned|turns|follows|became|rains?|rained|snowed|remains|happens|happened|appears|appeared)\b.*\b(to|that|whether|why|how|who|when|if)\b|^(?i)it (rains?|rained|snows?|snowed|is (said|clear|time))\b`)

// verbs end the subject of a sentence. Those that can be nouns as well are left out.
var verbs = wordSet(`is was are were has have had will would can could may might must shall should does did takes took gives gave makes made says said goes went
	comes came becomes became begins began keeps kept gets got brings brought holds held stands stood tells told writes wrote reads grew fell rose sold bought paid pays built
	contains consists includes provides serves belongs stays explains thanked presented reported presents led leads opened closed replaced needed received decided wants
	wanted cost produced produces delivered used wrote showed found lost won spent sent met agreed refused accepts refuses stores sends measures describes supports allows requires`)

var (
	plurals      = wordSet(`are were have`)
	singulars    = wordSet(`is was has does`)
	prepositions = wordSet(`of for in on at with from to by over under behind between near`)
	binding      = wordSet(`that which who whom when while if because and or but nor than as where whose not`)
	articles     = wordSet(`the a an our this each every`)
)

func wordSet(s string) map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(s) {
		m[w] = true
	}
	return m
}

// longSubject is how many words may stand before the verb of a sentence whose subject is clear.
const longSubject = 7

// subject gives the words before the first verb of an English sentence, and that verb; nil where they are not clear.
func subject(sentence string) (words []string, verb string) {
	all := strings.Fields(sentence)
	for i, w := range all {
		low := strings.ToLower(w)
		if i > 0 && verbs[low] {
			return all[:i], low
		}
		if i == longSubject || binding[low] || w == "" || strings.ContainsAny(w[len(w)-1:], `.,;:?!)"`) {
			break
		}
	}
	return nil, ""
}

// thing is the subject of a sentence as one thing or as several; empty where it is neither for sure.
func (s *Survey) thing(sentence string, several bool) string {
	words, verb := subject(sentence)
	if len(words) < 2 && !several || len(words) == 0 {
		return ""
	}
	article := articles[strings.ToLower(words[0])]
	head := len(words) - 1
	for i, w := range words {
		if prepositions[strings.ToLower(w)] {
			head = i - 1
			break
		}
	}
	if head < 0 || article && head == 0 || strings.HasSuffix(words[head], "ly") || strings.HasSuffix(words[head], "ed") {
		return ""
	}
	low := strings.ToLower(words[head])
	many := strings.HasSuffix(low, "s") && !strings.HasSuffix(low, "ss") && !strings.HasSuffix(low, "us") && !strings.HasSuffix(low, "is")
	switch {
	case pointers[strings.ToLower(words[0])] && !article, several != many && !(several && plurals[verb]), several && singulars[verb], !several && (!article || plurals[verb]):
		return ""
	case several && !article && s.names[words[0]] && len(words) > 1:
		return ""
	}
	return strings.Join(words, " ")
}

// onlyPerson is the name that a sentence begins with, when no other one stands in it.
func (s *Survey) onlyPerson(sentence string) string {
	words, _ := subject(sentence)
	if len(words) == 0 || len(words) > 3 {
		return ""
	}
	for _, w := range words {
		if first, _ := utf8.DecodeRuneInString(w); !unicode.IsUpper(first) || articles[strings.ToLower(w)] || w == strings.ToUpper(w) {
			return ""
		}
	}
	if len(words) == 1 && !s.names[words[0]] {
		return ""
	}
	rest := strings.Fields(sentence)[len(words):]
	for _, w := range rest {
		bare := strings.TrimFunc(w, func(r rune) bool { return !unicode.IsLetter(r) })
		if first, _ := utf8.DecodeRuneInString(bare); unicode.IsUpper(first) && bare != strings.ToUpper(bare) && !vague[strings.ToLower(bare)] {
			return ""
		}
	}
	return strings.Join(words, " ")
}

// koreanTitle ends what a person is called by.
var koreanTitle = regexp.MustCompile(`(씨|님|이사장|이사|감사|대표|회장|의장|교수|박사|원장|관장|센터장|소장|부장|과장|팀장|국장|실장|차장|대리|의원|시장|군수|장관|총리|대통령|기자|선생|교사|교장|연구원|작가|감독|담당자|위원장|위원|변호사|의사|사서)(은|는|이|가)$`)

// koreanSubject gives the words up to the one that bears a particle of the subject, which is among the first four.
func koreanSubject(sentence string) string {
	const reach = 4
	words := strings.Fields(sentence)
	for i, w := range words[:min(reach, len(words))] {
		for _, p := range []string{"은", "는", "이", "가"} {
			if noun, has := strings.CutSuffix(w, p); has && utf8.RuneCountInString(noun) >= 2 {
				return strings.Join(words[:i+1], " ")
			}
		}
		if strings.ContainsAny(w[len(w)-1:], ".,;:") {
			break
		}
	}
	return ""
}
