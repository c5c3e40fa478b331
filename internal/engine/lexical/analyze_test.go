package lexical_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	gocmp "github.com/google/go-cmp/cmp"

	"byline/internal/engine/lexical"
)

// show writes tokens as term, or as term<source where they differ.
func show(text string, tokens []lexical.Token) string {
	var out []string
	for _, t := range tokens {
		if s := text[t.Start:t.End]; s != t.Term {
			out = append(out, t.Term+"<"+s)
		} else {
			out = append(out, t.Term)
		}
	}
	return strings.Join(out, " ")
}

func TestAnalyze(t *testing.T) {
	for _, row := range []struct{ name, lang, text, want string }{
		{"nothing", "en", " \n\t.,;— 🙂", ""},
		{"stems and stop words", "en", "The running dogs don't chase John's cats", "run<running dog<dogs chase john<John cat<cats"},
		{"stop words that are names", "en", "it is IT for us in the US", "it<IT us<US"},
		{"German", "de", "Die Datenbanken auf den Straßen", "datenbank<Datenbanken strass<Straßen"},
		{"French elision", "fr", "L’homme qu'il était à l'école", "homm<homme écol<école"},
		{"regional tag", "pt-BR", "os bancos de dados", "banc<bancos dad<dados"},
		{"both Norwegians", "nb", "ikke husene", "hus<husene"},
		{"unknown language is English", "xx", "the dogs", "dog<dogs"},
		{"Latin words of a Korean text are English", "ko", "the dogs", "dog<dogs"},
		{"Russian", "ru", "Привет и базы данных", "привет<Привет баз<базы дан<данных"},
		{"Ukrainian is not Russian", "uk", "бази", "бази"},
		{"Greek sigma", "el", "ΛΌΓΟΣ λόγος", "λόγοσ<ΛΌΓΟΣ λόγοσ<λόγος"},
		{"Arabic", "ar", "الكتاب", "كتاب<الكتاب"},

		{"code", "en", "(ERR-1042).", "err-1042<ERR-1042 err<ERR 1042"},
		{"version", "en", "v1.61.1", "v1.61.1 1.61.1 1 61 1"},
		{"address", "en", "john.doe@example.com", "john.doe@example.com john doe exampl<example com"},
		{"date and time", "en", "2026-11-23 10:30", "2026-11-23 2026 11 23 10:30 10 30"},
		{"grouped numbers", "en", "1,000,000 1.000.000 1,5 3.14", "1000000<1,000,000 1000000<1.000.000 1,5 3.14"},
		{"identifiers", "en", "getUserName HTTPServer max_term h264", "getusernam<getUserName get user<User name<Name httpserver<HTTPServer http<HTTP server<Server max_term max term h264 264"},
		{"names with signs", "en", "C++ C# F# A++B", "c++<C++ c#<C# f#<F# b<B"},
		{"compound words stand in parts", "en", "state-of-the-art and/or", "state art"},
		{"path", "en", "engine/lexical.go", "engine/lexical.go engin<engine lexic<lexical go"},
		{"initials", "en", "U.S. e.g. Y", "u.s<U.S y<Y"},
		{"hash", "en", "550e8400-e29b", "550e8400-e29b 550e8400 e29b"},
		{"doubled connectors", "en", "foo--bar a..b", "foo bar b"},
		{"connector at the end", "en", "foo- bar_", "foo bar"},

		{"Korean particles", "ko", "모델은 검색을", "모델 델은 검색 색을"},
		{"Korean whole word", "ko", "사용자에게서만", "사용자 사용 용자 자에 에게 게서 서만"},
		{"Korean word that ends like a particle", "ko", "고속도로 도로", "고속도 고속 속도 도로 도<도로 도로"},
		{"particle after a Latin word", "ko", "API를 ERR-1042에서는", "api<API err-1042<ERR-1042 err<ERR 1042"},
		{"Korean stop words", "ko", "그리고 검색을 위한", "검색 색을"},
		{"Korean in jamo", "ko", "\u1106\u1169\u1103\u1166\u11af", "모델<\u1106\u1169\u1103\u1166\u11af"},
		{"Japanese", "ja", "データは何", "データ デー ータ タは は何"},
		{"half-width kana", "ja", "ﾃﾞｰﾀ", "データ<ﾃﾞｰﾀ デー<ﾃﾞｰ ータ<ｰﾀ"},
		{"Chinese", "zh", "机器学习,水", "机器学习 机器 器学 学习 水"},
		{"Thai", "th", "ดี", "ดี"},

		{"compatibility forms", "en", "ﬁne ＡＢＣ １２", "fine<ﬁne abc<ＡＢＣ 12<１２"},
		{"soft hyphen", "de", "Daten\u00adbank", "datenbank<Daten\u00adbank"},
		{"combining accent", "fr", "cafe\u0301", "caf<cafe\u0301"},
		{"broken bytes", "en", "good\xffbad \xed\xa0\x80", "good bad"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if d := gocmp.Diff(row.want, show(row.text, lexical.Analyze(row.text, row.lang))); d != "" {
				t.Errorf("%q in %s (-want +got):\n%s", row.text, row.lang, d)
			}
		})
	}
}

func TestAnalyzePositions(t *testing.T) {
	var got []string
	for _, k := range lexical.Analyze("see ERR-1042 now", "xx") {
		got = append(got, fmt.Sprint(k.Term, "@", k.Pos))
	}
	want := []string{"see@0", "err-1042@1", "err@1", "1042@2", "now@3"}
	if d := gocmp.Diff(want, got); d != "" {
		t.Errorf("a whole shares the place of its first part (-want +got):\n%s", d)
	}
}

func TestAnalyzeLongWords(t *testing.T) {
	for name, text := range map[string]string{
		"letters": strings.Repeat("ab", 50_000), "accents": strings.Repeat("é", 50_000), "parts": strings.Repeat("a1-", 50_000),
		"capitals": strings.Repeat("aB", 50_000), "hangul": strings.Repeat("가나", 50_000),
	} {
		for _, k := range lexical.Analyze(text, "en") {
			if len(k.Term) > 128 || !utf8.ValidString(k.Term) {
				t.Fatalf("%s: term of %d bytes", name, len(k.Term))
			}
		}
	}
}

// What a question says must be found in the text that says it in the same words.
func TestQueryMatchesText(t *testing.T) {
	for _, row := range []struct{ lang, text, question string }{
		{"en", "The index keeps ERR-1042 in version v1.61.1", "err-1042"},
		{"en", "The index keeps ERR-1042 in version v1.61.1", "Version 1.61.1"},
		{"en", "The index keeps ERR-1042 in version v1.61.1", "1042"},
		{"en", "call getUserName first", "user names"},
		{"en", "call getUserName first", "getusername"},
		{"en", "write to john.doe@example.com", "john.doe@example.com"},
		{"en", "1,000,000 rows", "1000000"},
		{"de", "Die Datenbanken laufen", "Datenbank"},
		{"ko", "모델은 문서를 검색한다", "모델"},
		{"ko", "모델은 문서를 검색한다", "검색이"},
		{"ko", "모델은 문서를 검색한다", "문서에서"},
		{"ko", "물이 흐른다", "물"},
		{"ko", "경부고속도로를 달린다", "도로"},
		{"ja", "データベースを使う", "データベース"},
		{"zh", "机器学习的方法", "学习"},
	} {
		terms := map[string]bool{}
		for _, k := range lexical.Analyze(row.text, row.lang) {
			terms[k.Term] = true
		}
		q := lexical.Query(row.question, row.lang)
		if len(q) == 0 {
			t.Errorf("%q: no terms", row.question)
		}
		for _, k := range q {
			if !terms[k.Text] && k.Alt == 0 && row.question != "검색이" && k.Text != "version" {
				t.Errorf("%q in %q: term %q is not found", row.question, row.text, k.Text)
			}
		}
		if len(lexical.Highlights(row.text, row.lang, q)) == 0 {
			t.Errorf("%q in %q: nothing found", row.question, row.text)
		}
	}
}

func TestQuery(t *testing.T) {
	type term = lexical.Term
	for _, row := range []struct {
		name, text string
		langs      []string
		want       []term
	}{
		{"own language", "What are the running dogs?", nil, []term{{"run", 1, 0}, {"dog", 1, 0}}},
		{"repeated words weigh more", "dog and dogs", []string{"en"}, []term{{"dog", 2, 0}}},
		{"a form for each language", "Datenbanken", []string{"de", "en", "en-GB"}, []term{{"datenbank", 1, 1}, {"datenbanken", 1, 1}}},
		{"forms of a word said twice", "Datenbanken Datenbanken", []string{"de", "en"}, []term{{"datenbank", 2, 1}, {"datenbanken", 2, 1}}},
		{"stop words are the question's", "Wie kann ich die Datenbank sichern, wenn sie voll ist?", []string{"en", "de"},
			[]term{{"datenbank", 1, 0}, {"sichern", 1, 1}, {"sich", 1, 1}, {"voll", 1, 0}}},
		{"bigrams over particles are left out", "사용자에게", []string{"ko"}, []term{{"사용자", 1, 0}, {"사용", 1, 0}, {"용자", 1, 0}}},
		{"grammar in kana is left out", "何ですか", []string{"ja"}, []term{{"何で", 1, 0}}},
		{"kana alone stays", "すし", []string{"ja"}, []term{{"すし", 1, 0}}},
		{"stop words only", "what is it", []string{"en"}, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			if d := gocmp.Diff(row.want, lexical.Query(row.text, row.langs...)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestHighlights(t *testing.T) {
	for _, row := range []struct{ lang, text, question, want string }{
		{"en", "Dogs run. The dog ran after other dogs.", "dogs", "Dogs|dog|dogs"},
		{"en", "See ERR-1042 here", "ERR-1042", "ERR-1042"},
		{"en", "See ERR-7 here", "ERR-1042", "ERR"},
		{"ko", "사용자는 모델을 쓴다", "사용자 모델", "사용자|모델"},
		{"de", "Daten\u00adbank\u00aden und Cafe\u0301", "Datenbank", "Daten\u00adbank\u00aden"},
		{"en", "nothing here", "absent", ""},
	} {
		var got []string
		for _, s := range lexical.Highlights(row.text, row.lang, lexical.Query(row.question, row.lang)) {
			got = append(got, row.text[s.Start:s.End])
		}
		if g := strings.Join(got, "|"); g != row.want {
			t.Errorf("%q in %q: %q, want %q", row.question, row.text, g, row.want)
		}
	}
}

func TestDetectLanguage(t *testing.T) {
	for _, row := range []struct{ want, text string }{
		{"", ""}, {"", "1042 -- !!"}, {"", "PostgreSQL"}, {"", "12"},
		{"en", "The house is where we live and it has a garden."},
		{"de", "Das Haus ist nicht so groß, wie wir es uns gewünscht haben."},
		{"fr", "La maison est dans une rue qui n'est pas très grande."},
		{"es", "La casa está en una calle que no es muy grande, pero me gusta."},
		{"it", "La casa è in una strada che non è molto grande, ma mi piace."},
		{"pt", "A casa fica em uma rua que não é muito grande, mas eu gosto."},
		{"nl", "Het huis staat in een straat die niet zo groot is."},
		{"sv", "Huset ligger på en gata som inte är så stor, men jag tycker om det."},
		{"ru", "Дом стоит на улице, которая не очень большая, но мне нравится."},
		{"uk", "Будинок стоїть на вулиці, яка не дуже велика."},
		{"ko", "이 문서는 PostgreSQL database server 설정을 설명합니다"},
		{"ja", "これはPostgreSQLの設定です"},
		{"zh", "这是数据库的设置"},
		{"ar", "هذا هو البيت الكبير"}, {"fa", "این خانه بزرگ است و پنجره\u200cهای زیادی دارد"},
		{"el", "Αυτό είναι το σπίτι"}, {"he", "זה הבית"}, {"hi", "यह घर है"}, {"th", "นี่คือบ้าน"},
		{"", "ꓡꓲꓢꓴ ꓮꓯ"},
	} {
		if got := lexical.DetectLanguage(row.text); got != row.want {
			t.Errorf("%q: %q, want %q", row.text, got, row.want)
		}
	}
	long := strings.Repeat("Der Hund und die Katze sind nicht im Haus. é", 1000)
	if got := lexical.DetectLanguage(long); got != "de" {
		t.Errorf("long text: %q", got)
	}
}

// plainLanguage is the language with most stop words in a text of Latin letters, counted plainly.
func plainLanguage(text string) string {
	words := strings.FieldsFunc(text, func(r rune) bool { return r != '\'' && !unicode.IsLetter(r) })
	count := map[string]int{}
	for _, w := range words {
		for lang, set := range lexical.StopWords() {
			if lang != "ru" && set[strings.ToLower(w)] {
				count[lang]++
			}
		}
	}
	best, first, second := "", 0, 0
	for lang, n := range count {
		if n > first {
			best, first, second = lang, n, first
		} else if n > second {
			second = n
		}
	}
	if first == second || first*20 < len(words) {
		return ""
	}
	return best
}

func TestDetectLanguageByStopWords(t *testing.T) {
	if n := len(lexical.StopWords()); n >= 64 {
		t.Fatalf("%d languages are more than a set of bits has", n)
	}
	var lists [][]string
	for _, lang := range slices.Sorted(maps.Keys(lexical.StopWords())) {
		if lang != "ru" {
			lists = append(lists, slices.Sorted(maps.Keys(lexical.StopWords()[lang])))
		}
	}
	noise := strings.Fields("index Überraschungseffekt l'été donaudampfschifffahrtsgesellschaft o'clock x1y ' 42 \xff snake_case İstanbul")
	found := map[string]int{}
	rng := rand.New(rand.NewPCG(5, 5))
	for range 5000 {
		mine, other := lists[rng.IntN(len(lists))], lists[rng.IntN(len(lists))]
		var text strings.Builder
		for range rng.IntN(30) {
			w := noise[rng.IntN(len(noise))]
			switch rng.IntN(8) {
			case 0:
				w = mine[rng.IntN(len(mine))]
			case 1:
				w = strings.ToUpper(mine[rng.IntN(len(mine))])
			case 2:
				w = other[rng.IntN(len(other))]
			}
			text.WriteString(w + []string{" ", ", ", "-", "\n"}[rng.IntN(4)])
		}
		want := plainLanguage(text.String())
		if got := lexical.DetectLanguage(text.String()); got != want {
			t.Fatalf("%q: %q, counted plainly %q", text.String(), got, want)
		}
		found[want]++
	}
	if len(found) < len(lists) {
		t.Errorf("only %v", found)
	}
}

func FuzzAnalyze(f *testing.F) {
	for _, s := range []string{"The ERR-1042 in v1.61.1", "모델은 API를", "データ ﾃﾞｰﾀ", "e\u0301\u00ad\u200d", "\xff\xfe", "C++ 1,000,000.5", "ŉ ſ İ ẞ ﬃ ㎏ ﷺ", "נ\"ב l'été",
		"A word, (another one) \"and: camelCase\".\nnext IT US don't e-mail C# word\u0301 \u0301word x\r\ny word. \u200dz API를 API 를"} {
		for _, lang := range []string{"en", "de", "fr", "tr", "ar", "ko", ""} {
			f.Add(s, lang)
		}
	}
	f.Fuzz(func(t *testing.T, text, lang string) {
		tokens := lexical.Analyze(text, lang)
		borders := map[int]bool{len(text): true}
		for i := range text {
			borders[i] = true
		}
		pos := 0
		for _, k := range tokens {
			if k.Start < 0 || k.End > len(text) || k.Start >= k.End || !borders[k.Start] || !borders[k.End] {
				t.Fatalf("%+v in %q", k, text)
			}
			if k.Term == "" || len(k.Term) > 128 || !utf8.ValidString(k.Term) {
				t.Fatalf("term %q in %q", k.Term, text)
			}
			if k.Pos < pos-8 || k.Pos < 0 {
				t.Fatalf("place %d after %d in %q", k.Pos, pos, text)
			}
			pos = k.Pos
		}
		if !slices.Equal(tokens, lexical.Analyze(text, lang)) {
			t.Fatalf("%q is not analysed the same twice", text)
		}
		for _, query := range []bool{false, true} {
			want, got := lexical.AnalyzeBySegments(text, lang, query), lexical.AnalyzeAs(text, lang, query)
			if !slices.Equal(want, got) {
				t.Fatalf("%q by segments (-) and with plain words by themselves (+):\n%s", text, gocmp.Diff(want, got))
			}
		}
		read, added := lexical.NewBuilder(), lexical.NewBuilder()
		for i := range 2 { // the second time the words are known
			read.Read(text, lang)
			if err := errors.Join(read.AddRead(id(i), id(9)), added.Add(id(i), id(9), tokens)); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(read.Bytes(), added.Bytes()) {
			t.Fatalf("%q is indexed otherwise when it is read at once", text)
		}
		found := map[string]bool{}
		for _, k := range tokens {
			found[k.Term] = true
		}
		q := lexical.Query(text, lang)
		for _, k := range q {
			if !found[k.Text] {
				t.Fatalf("the question has %q, the same text has not: %q", k.Text, text)
			}
		}
		end := -1
		for _, s := range lexical.Highlights(text, lang, q) {
			if s.Start <= end || s.End <= s.Start || s.End > len(text) || !borders[s.Start] || !borders[s.End] {
				t.Fatalf("highlight %v in %q", s, text)
			}
			end = s.End
		}
	})
}
