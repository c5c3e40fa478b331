package agent

import (
	"embed"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"text/template"

	"byline/internal/llm"
)

//go:embed prompts/*.md
var promptFiles embed.FS

var prompts = template.Must(template.New("").Funcs(template.FuncMap{
	"join": func(list []string) string { return strings.Join(list, "; ") },
}).ParseFS(promptFiles, "prompts/*.md"))

// prompt fills a prompt in.
func prompt(name string, data any) (string, error) {
	var b strings.Builder
	if err := prompts.ExecuteTemplate(&b, name+".md", data); err != nil {
		return "", fmt.Errorf("prompt %s: %w", name, err)
	}
	return strings.TrimSpace(b.String()), nil
}

// ask makes a request of two messages: what stays the same from request to request, and the question.
func ask(purpose, system string, systemData any, user string, userData any) (llm.Request, error) {
	first, err := prompt(system, systemData)
	if err != nil {
		return llm.Request{}, err
	}
	second, err := prompt(user, userData)
	return llm.Request{Purpose: purpose, Messages: []llm.Message{{Role: llm.System, Content: first}, {Role: llm.User, Content: second}}}, err
}

// fences are the marks that tell material from instructions; in the material itself they are made plain text.
var fences = regexp.MustCompile(`(?i)<(/?\s*(?:passage|source|block)\b)`)

// material makes a text of a source fit to stand between fences.
func material(text string) string {
	return fences.ReplaceAllString(strings.ToValidUTF8(text, "\uFFFD"), "‹$1")
}

var attribute = strings.NewReplacer(`"`, "'", "<", "‹", ">", "›", "\n", " ", "\r", " ")

// languageNames are the languages whose names a model is told instead of their tags.
var languageNames = map[string]string{
	"en": "English", "ko": "Korean", "de": "German", "fr": "French", "es": "Spanish", "it": "Italian", "pt": "Portuguese", "nl": "Dutch",
	"ja": "Japanese", "zh": "Chinese", "ru": "Russian", "pl": "Polish", "sv": "Swedish", "da": "Danish", "no": "Norwegian", "fi": "Finnish",
	"cs": "Czech", "tr": "Turkish", "uk": "Ukrainian", "ar": "Arabic", "he": "Hebrew", "hi": "Hindi", "vi": "Vietnamese", "th": "Thai", "id": "Indonesian",
}

// languageName is a language for a model: its name where it is known, else its tag.
func languageName(tag string) string {
	if name, ok := languageNames[base(tag)]; ok {
		return name
	}
	if tag == "" {
		return "the language of the sources"
	}
	return tag
}

// templates are the forms of posts that can be asked for.
var templates = map[string]string{
	"report":     "a report: what was found, how, what it means, what is open",
	"how-to":     "a guide: what the reader will achieve, what is needed, the steps in order, what can go wrong",
	"news":       "a news item: what happened, who and when, why, what comes next; the most important first",
	"comparison": "a comparison: what is compared, by which criteria, a table, for whom which one is right",
	"faq":        "questions and answers: each section is a question that readers have",
	"minutes":    "a summary of meetings: decisions, tasks with names and dates, open points",
}

// jsonOf reads the JSON of an answer, with or without fences or words around it.
func jsonOf(answer string, out any) error {
	from, to := strings.IndexByte(answer, '{'), strings.LastIndexByte(answer, '}')
	if from < 0 || to < from {
		return fmt.Errorf("there is no JSON object in it")
	}
	return json.Unmarshal([]byte(answer[from:to+1]), out)
}
