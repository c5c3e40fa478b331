package lexical

// AnalyzeBySegments is Analyze by nothing but Unicode's segmentation.
func AnalyzeBySegments(text, lang string, query bool) []Token {
	a := analysis{text: text, lang: baseLanguage(lang), query: query, wordEnd: -1}
	a.segments(0, len(text))
	return a.tokens
}

// AnalyzeAs is Analyze, or as a question is analysed.
func AnalyzeAs(text, lang string, query bool) []Token { return analyze(text, lang, query) }

// StopWords are the stop words of each language.
func StopWords() map[string]map[string]bool { return stopWords() }
