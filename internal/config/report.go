package config

import (
	"fmt"
	"io"
	"net/url"
	"strings"
	"text/tabwriter"
)

// Notice is something that should be known about one place of the configuration.
type Notice struct {
	Place string // --listen, environment, .env:3, byline.toml:7
	Text  string // one line; never a secret
}

// String gives place and text on one line.
func (n Notice) String() string { return n.Place + ": " + n.Text }

// Report is what Load found. It logs nothing: who called it prints the notices.
type Report struct {
	Problems []Notice // why Load failed
	Notices  []Notice // what counts as not set, is not built yet, has no effect or is not read any more
	Values   []Value  // every setting in the order of the table
}

// Value is a setting as it came out.
type Value struct {
	Setting
	Text    string // as it was written, or the default; it may be a secret
	Origin  string // default, or the place that set it
	Refused bool   // it is among the problems
}

// mask stands for a secret, whatever its length.
const mask = "********"

// Masked is the text without what must not be shown.
func (v Value) Masked() string {
	if !v.Secret || v.Text == "" {
		return v.Text
	}
	if !v.IsURL || v.Refused {
		return mask
	}
	parts := []string{v.Text}
	if v.list() {
		parts = strings.Split(v.Text, ",")
	}
	for i, p := range parts {
		parts[i] = maskedURL(p)
	}
	return strings.Join(parts, ",")
}

// maskedURL is a URL without its user, password and query.
func maskedURL(text string) string {
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil || u.Host == "" {
		return mask
	}
	shown := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	text = shown.String()
	if u.User != nil {
		text = strings.Replace(text, "://", "://"+mask+"@", 1)
	}
	if u.RawQuery != "" {
		text += "?" + mask
	}
	return text
}

// Print writes a line per setting: name, value, origin.
func (r Report) Print(w io.Writer, masked bool) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SETTING\tVALUE\tFROM") //nolint:errcheck // Flush gives the error
	for _, v := range r.Values {
		text := v.Text
		if masked {
			text = v.Masked()
		}
		if text == "" {
			text = "-"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", v.Env, oneLine(text), v.Origin) //nolint:errcheck // Flush gives the error
	}
	return t.Flush()
}

// oneLine keeps a value from breaking the table.
func oneLine(text string) string {
	return strings.NewReplacer("\n", `\n`, "\r", `\r`, "\t", `\t`, "\v", `\v`, "\f", `\f`).Replace(text)
}

// Check writes problems and notices, then a line that sums up.
func (r Report) Check(w io.Writer) error {
	var b strings.Builder
	for _, p := range r.Problems {
		fmt.Fprintf(&b, "error   %s\n", p)
	}
	for _, n := range r.Notices {
		fmt.Fprintf(&b, "notice  %s\n", n)
	}
	set := 0
	for _, v := range r.Values {
		if v.Origin != "default" {
			set++
		}
	}
	verdict := "The configuration is valid"
	if len(r.Problems) > 0 {
		verdict = fmt.Sprintf("The configuration is refused, errors: %d", len(r.Problems))
	}
	fmt.Fprintf(&b, "%s. Settings: %d, set: %d, notices: %d.\n", verdict, len(r.Values), set, len(r.Notices))
	_, err := io.WriteString(w, b.String())
	return err
}
