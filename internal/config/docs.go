package config

import (
	"fmt"
	"strings"
)

// Regenerate is the command that writes docs/configuration.md and .env.example anew.
const Regenerate = "go test ./internal/config -run TestGenerated -update"

// Markdown is docs/configuration.md.
func Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, `<!-- Made from internal/config by: %s (make generate). Do not edit. -->

# Configuration

Nothing has to be configured. What is, is taken from the first of these that has it:

1. flags of the command line,
2. the environment,
3. `+"`.env`"+` in the working directory,
4. `+"`%s`"+` in the working directory, or the file that `+"`--config`"+` names,
5. the default.

An empty value means the default, also when something below it sets another one. A name in `+"`%s`"+` is the lower case of the one here: `+"`app_name = \"My blog\"`"+`.
Unknown names are refused in all four, in the environment only those that begin with BYLINE_. Placeholders in secrets (`+"`sk-...`, `tvly-...`, `your-...`"+`) count as not set.
`+"`byline config check`"+` names every mistake and its place, `+"`byline config print`"+` shows every value and where it came from.

A setting marked **secret** is never shown, and can be read from a file: NAME_FILE=/path/to/file instead of NAME. Settings marked *not built yet* are accepted and have no effect.
Of sizes, KB, MB and GB are powers of 1000, KiB, MiB and GiB (or K, M, G) of 1024.

In `+"`.env`"+` a value goes to the end of the line, to `+"` #`"+` or to the next NAME= of the line; with blanks or signs in it, put it into quotes. Inside double quotes \n \t \" \\ \$ are escapes, inside single quotes nothing is. Nothing is expanded.
`, Regenerate, FileName, FileName)
	topic := ""
	for _, s := range Settings() {
		if s.Topic != topic {
			topic = s.Topic
			fmt.Fprintf(&b, "\n## %s\n\n| Setting | Default | What it is | Allowed |\n|---|---|---|---|\n", topic)
		}
		name := "`" + s.Env + "`"
		if s.Flag != "" {
			name += " `--" + s.Flag + "`"
		}
		def := ""
		if s.Default != "" {
			def = "`" + s.Default + "`"
		}
		fmt.Fprintf(&b, "| %s | %s | %s%s | %s |\n", name, def, s.Doc, s.marks(), s.Allowed)
	}
	return b.String()
}

// marks are the remarks behind the line of documentation.
func (s *Setting) marks() string {
	text := ""
	if s.Secret {
		text += " **Secret.**"
	}
	switch s.Planned {
	case "":
	case "*":
		text += " *Not built yet.*"
	default:
		text += " *Not built yet: " + strings.Join(strings.Fields(s.Planned), ", ") + ".*"
	}
	return text
}

// Example is .env.example: every setting, commented out, at its default.
func Example() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Made from internal/config by: %s (make generate). Do not edit.\n", Regenerate)
	b.WriteString("# Copy it to .env and take away the # in front of what you want to change. docs/configuration.md says more.\n")
	topic := ""
	for _, s := range Settings() {
		if s.Retired != "" {
			continue
		}
		if s.Topic != topic {
			topic = s.Topic
			fmt.Fprintf(&b, "\n# --- %s\n", topic)
		}
		fmt.Fprintf(&b, "\n# %s%s\n", s.Doc, strings.ReplaceAll(s.marks(), "*", ""))
		if s.Allowed != anyText {
			fmt.Fprintf(&b, "# Use %s.\n", s.Allowed)
		}
		fmt.Fprintf(&b, "# %s=%s\n", s.Env, quote(s.Default))
	}
	return b.String()
}
