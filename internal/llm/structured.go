package llm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// AskJSON asks for an answer of r.Schema's form and decodes it into out. An answer of another form is asked for once more, with
// what was wrong; then it is fault llm_garbled. check may find more that is wrong with out; nil finds nothing. What is in out
// after an error has no meaning. The usage is that of both questions.
func AskJSON(ctx context.Context, m Model, r Request, out any, check func() error) (Answer, error) {
	first, err := Ask(ctx, m, r)
	if err != nil {
		return first, err
	}
	wrong := decodeInto(first, r.Schema, out, check)
	if wrong == nil {
		return first, nil
	}
	r.Messages = append(slices.Clip(r.Messages),
		Message{Role: Assistant, Content: first.Text},
		Message{Role: User, Content: fmt.Sprintf("This answer cannot be used: %v. Answer again, with the corrected JSON value and nothing else.", wrong)})
	second, err := Ask(ctx, m, r)
	second.Usage = sum(first.Usage, second.Usage)
	if err != nil {
		return second, err
	}
	if again := decodeInto(second, r.Schema, out, check); again != nil {
		return second, Failure(CodeGarbled, errors.Join(wrong, again), "The model %s does not give answers of the form that is needed. Try again, or use another model.", m.Info().Name)
	}
	return second, nil
}

func sum(a, b *Usage) *Usage {
	if a == nil || b == nil {
		if a == nil {
			return b
		}
		return a
	}
	u := Usage{Input: a.Input + b.Input, Cached: a.Cached + b.Cached, Output: a.Output + b.Output, Estimated: a.Estimated || b.Estimated}
	if a.Cost != nil && b.Cost != nil {
		cost := *a.Cost + *b.Cost
		u.Cost = &cost
	}
	return &u
}

func decodeInto(a Answer, schema *Schema, out any, check func() error) error {
	if a.Finish == Length {
		return errors.New("it was too long and is cut off")
	}
	text := bare(a.Text)
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		return fmt.Errorf("it is no JSON (%w)", err)
	}
	if schema != nil {
		var form any
		if err := json.Unmarshal(schema.JSON, &form); err != nil {
			return fmt.Errorf("read schema %s: %w", schema.Name, err)
		}
		if err := conform(value, form, "the value"); err != nil {
			return err
		}
	}
	if err := json.Unmarshal(text, out); err != nil {
		return err
	}
	if check != nil {
		return check()
	}
	return nil
}

// bare takes away what models put around JSON: a fence, a word before it.
func bare(text string) []byte {
	b := bytes.TrimSpace([]byte(text))
	if json.Valid(b) {
		return b
	}
	if _, fenced, ok := bytes.Cut(b, []byte("```")); ok {
		fenced = bytes.TrimPrefix(fenced, []byte("json"))
		if inner, _, ok := bytes.Cut(fenced, []byte("```")); ok && json.Valid(bytes.TrimSpace(inner)) {
			return bytes.TrimSpace(inner)
		}
	}
	from, to := bytes.IndexAny(b, "{["), bytes.LastIndexAny(b, "}]")
	if from >= 0 && to > from && json.Valid(b[from:to+1]) {
		return b[from : to+1]
	}
	return b
}

// conform holds a value against what most schemas use of JSON Schema: type, properties, required, additionalProperties, items,
// enum, const, anyOf. What else a schema says is the provider's affair, or that of check.
func conform(value, schema any, place string) error {
	s, ok := schema.(map[string]any)
	if !ok {
		return nil
	}
	if options, ok := s["anyOf"].([]any); ok {
		if !slices.ContainsFunc(options, func(o any) bool { return conform(value, o, place) == nil }) {
			return fmt.Errorf("%s has none of the forms that it may have", place)
		}
	}
	if allowed, ok := s["enum"].([]any); ok && !slices.ContainsFunc(allowed, func(a any) bool { return a == value }) {
		return fmt.Errorf("%s is none of %v", place, allowed)
	}
	if only, ok := s["const"]; ok && only != value {
		return fmt.Errorf("%s is not %v", place, only)
	}
	if err := hasType(value, s["type"], place); err != nil {
		return err
	}
	switch v := value.(type) {
	case map[string]any:
		return conformObject(v, s, place)
	case []any:
		for i, item := range v {
			if err := conform(item, s["items"], fmt.Sprintf("%s[%d]", place, i)); err != nil {
				return err
			}
		}
	}
	return nil
}

func conformObject(v, s map[string]any, place string) error {
	required, _ := s["required"].([]any)
	for _, key := range required {
		if k, _ := key.(string); !has(v, k) {
			return fmt.Errorf("%s has no %q", place, k)
		}
	}
	properties, _ := s["properties"].(map[string]any)
	for k, inner := range v {
		form, known := properties[k]
		if !known && s["additionalProperties"] == false {
			return fmt.Errorf("%s has %q, which it must not have", place, k)
		}
		if err := conform(inner, form, strings.TrimPrefix(place+"."+k, "the value.")); err != nil {
			return err
		}
	}
	return nil
}

func has(v map[string]any, key string) bool {
	_, ok := v[key]
	return ok
}

func hasType(value, types any, place string) error {
	var names []string
	switch t := types.(type) {
	case string:
		names = []string{t}
	case []any:
		for _, n := range t {
			if n, ok := n.(string); ok {
				names = append(names, n)
			}
		}
	}
	is := ""
	switch v := value.(type) {
	case nil:
		is = "null"
	case bool:
		is = "boolean"
	case string:
		is = "string"
	case []any:
		is = "array"
	case map[string]any:
		is = "object"
	case float64:
		is = "number"
		if v == math.Trunc(v) && slices.Contains(names, "integer") {
			is = "integer"
		}
	}
	if len(names) > 0 && !slices.Contains(names, is) {
		return fmt.Errorf("%s is %s, not %s", place, is, strings.Join(names, " or "))
	}
	return nil
}
