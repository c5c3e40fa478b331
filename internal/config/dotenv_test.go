package config_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"byline/internal/config"
)

func TestDotenv(t *testing.T) {
	type as = []config.Assignment
	for name, tc := range map[string]struct {
		text  string
		want  as
		wrong []string // line: text
	}{
		"bare":                       {"A=b\n", as{{"A", "b", 1}}, nil},
		"nothing at all":             {"", nil, nil},
		"comments and empty lines":   {"# c\n\n  # d\nA=b # e\nB=c#d\nC=#e\n", as{{"A", "b", 4}, {"B", "c#d", 5}, {"C", "#e", 6}}, nil},
		"export":                     {"export A=b\nexport\tB=c\nexport=d", as{{"A", "b", 1}, {"B", "c", 2}, {"export", "d", 3}}, nil},
		"empty values":               {"A=\nB= \nC= # x\nD= E=1\nF=\"\"\nG=''", as{{"A", "", 1}, {"B", "", 2}, {"C", "", 3}, {"D", "", 4}, {"E", "1", 4}, {"F", "", 5}, {"G", "", 6}}, nil},
		"blanks around the sign":     {"A = b\nB\t=\t'c'\n", as{{"A", "b", 1}, {"B", "c", 2}}, nil},
		"blanks in a bare value":     {"A=Blog Creator API  \n", as{{"A", "Blog Creator API", 1}}, nil},
		"several on a line":          {`A="1"   B=2 C='3'  D=x y E=z`, as{{"A", "1", 1}, {"B", "2", 1}, {"C", "3", 1}, {"D", "x y", 1}, {"E", "z", 1}}, nil},
		"signs in a URL":             {"A=postgres://u:p@h/d?x=1&y=2 B=1", as{{"A", "postgres://u:p@h/d?x=1&y=2", 1}, {"B", "1", 1}}, nil},
		"a JSON list":                {`A=["http://a", "http://b"]`, as{{"A", `["http://a", "http://b"]`, 1}}, nil},
		"escapes":                    {`A="a\"b\\c\n\t\r\$\` + "`" + `\q"`, as{{"A", "a\"b\\c\n\t\r$`\\q", 1}}, nil},
		"nothing is expanded":        {`A=$HOME B="$HOME" C='$HOME'`, as{{"A", "$HOME", 1}, {"B", "$HOME", 1}, {"C", "$HOME", 1}}, nil},
		"single quotes are literal":  {`A='a\n"b'`, as{{"A", `a\n"b`, 1}}, nil},
		"over several lines":         {"A=\"one\ntwo\" B=3\nC=4", as{{"A", "one\ntwo", 1}, {"B", "3", 2}, {"C", "4", 3}}, nil},
		"a joined line":              {"A=\"one\\\ntwo\"\nB=1", as{{"A", "onetwo", 1}, {"B", "1", 3}}, nil},
		"CRLF and a BOM":             {"\xef\xbb\xbfA=b\r\nB=\"c\"\r\n", as{{"A", "b", 1}, {"B", "c", 2}}, nil},
		"a comment behind a quote":   {`A="b" # c`, as{{"A", "b", 1}}, nil},
		"not an assignment":          {"hello\nA=b\n=c\n1A=d", as{{"A", "b", 2}}, []string{"1: this is not NAME=value", "3: this is not NAME=value", "4: this is not NAME=value"}},
		"a double quote that's open": {"A=\"b\nB=c", as{{"B", "c", 2}}, []string{"1: A has a double quote that is not closed"}},
		"a single quote that's open": {"A='b\nB=c'", as{{"B", "c'", 2}}, []string{"1: A has a single quote that is not closed on its line"}},
		"text at a closing quote":    {"A=\"b\"c\nB=d", as{{"B", "d", 2}}, []string{"1: A has text right behind its closing quote"}},
		"text behind a quoted value": {"A=\"b\" c\nB=d", as{{"A", "b", 1}, {"B", "d", 2}}, []string{"1: what follows the quoted value is not NAME=value; put the whole value into quotes"}},
		"a NUL":                      {"A=b\x00\nB=\xff", nil, []string{"1: A is not UTF-8 text", "2: B is not UTF-8 text"}},
		"UTF-16":                     {"\xfe\xff\x00A", nil, []string{"1: the file is UTF-16; save it as UTF-8"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, wrong := config.ParseDotenv([]byte(tc.text))
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("assignments (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.wrong, wrong); diff != "" {
				t.Errorf("mistakes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestQuotedValuesAreReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := strings.ReplaceAll(rapid.String().Draw(t, "value"), "\x00", "")
		got, wrong := config.ParseDotenv([]byte("A=1 B=" + config.Quote(value) + " C=2"))
		want := []config.Assignment{{Name: "A", Value: "1", Line: 1}, {Name: "B", Value: value, Line: 1}, {Name: "C", Value: "2", Line: 1}}
		if diff := cmp.Diff(want, got); diff != "" || len(wrong) > 0 {
			t.Fatalf("%v\n%s", wrong, diff)
		}
	})
}

func FuzzDotenv(f *testing.F) {
	f.Add([]byte(wireEnv))
	f.Add([]byte("export A=\"b\\\n\n\" # c\r\nB='x' C= D=#"))
	f.Fuzz(func(t *testing.T, data []byte) {
		found, wrong := config.ParseDotenv(data)
		last, most := 0, strings.Count(string(data), "\n")+1
		for _, a := range found {
			if a.Line < last || a.Line > most || a.Name == "" || strings.ContainsAny(a.Name, " =\n#\"'") {
				t.Fatalf("%+v behind line %d of %d", a, last, most)
			}
			last = a.Line
		}
		if len(wrong) > most {
			t.Fatalf("%d mistakes in %d lines", len(wrong), most)
		}
		var again strings.Builder
		for _, a := range found {
			again.WriteString("export " + a.Name + "=" + config.Quote(a.Value) + "\n")
		}
		second, wrong := config.ParseDotenv([]byte(again.String()))
		if len(wrong) > 0 || len(second) != len(found) {
			t.Fatalf("written again: %v\n%s", wrong, again.String())
		}
		for i := range found {
			if found[i].Value != second[i].Value || found[i].Name != second[i].Name {
				t.Fatalf("%+v became %+v", found[i], second[i])
			}
		}
	})
}
