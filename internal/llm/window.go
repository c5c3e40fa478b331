package llm

import "strings"

// Window gives the tokens that a model can hold, question and answer together, and that one answer may have, by its name; 0 is
// unknown. Names come with tags and makers before them ("meta-llama/Llama-3.1-8B-Instruct", "llama3.1:8b").
func Window(name string) (context, output int) {
	name = strings.ToLower(name)
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		name = name[i+1:]
	}
	best := 0
	for _, w := range windows {
		if len(w.prefix) > best && strings.HasPrefix(name, w.prefix) {
			best, context, output = len(w.prefix), w.context, w.output
		}
	}
	return context, output
}

// windows are what makers say of their models; who serves them may let them hold less.
var windows = []struct {
	prefix          string
	context, output int
}{
	{"gpt-3.5-turbo", 16_385, 4_096},
	{"gpt-4", 8_192, 8_192},
	{"gpt-4-turbo", 128_000, 4_096},
	{"gpt-4o", 128_000, 16_384},
	{"chatgpt-4o", 128_000, 16_384},
	{"gpt-4.1", 1_047_576, 32_768},
	{"gpt-5", 400_000, 128_000},
	{"gpt-oss", 131_072, 0},
	{"o1", 200_000, 100_000},
	{"o3", 200_000, 100_000},
	{"o4-mini", 200_000, 100_000},
	{"claude-3", 200_000, 4_096},
	{"claude-3-5", 200_000, 8_192},
	{"claude-3-7", 200_000, 64_000},
	{"claude-sonnet-4", 200_000, 64_000},
	{"claude-opus-4", 200_000, 32_000},
	{"gemini-1.5", 1_048_576, 8_192},
	{"gemini-2.0", 1_048_576, 8_192},
	{"gemini-2.5", 1_048_576, 65_536},
	{"deepseek-chat", 128_000, 8_192},
	{"deepseek-reasoner", 128_000, 65_536},
	{"deepseek-r1", 131_072, 0},
	{"mistral-large", 131_072, 0},
	{"mistral-small", 131_072, 0},
	{"mistral-nemo", 131_072, 0},
	{"mistral", 32_768, 0},
	{"mixtral", 32_768, 0},
	{"llama2", 4_096, 0},
	{"llama3", 8_192, 0},
	{"llama-3", 8_192, 0},
	{"llama3.1", 131_072, 0},
	{"llama-3.1", 131_072, 0},
	{"llama3.2", 131_072, 0},
	{"llama-3.2", 131_072, 0},
	{"llama3.3", 131_072, 0},
	{"llama-3.3", 131_072, 0},
	{"qwen2.5", 32_768, 0},
	{"qwen3", 40_960, 0},
	{"gemma2", 8_192, 0},
	{"gemma-2", 8_192, 0},
	{"gemma3", 131_072, 0},
	{"gemma-3", 131_072, 0},
	{"phi3", 131_072, 0},
	{"phi4", 16_384, 0},
}
