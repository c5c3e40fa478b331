package openai

import (
	"bytes"

	"byline/internal/llm"
)

// chunk is what one event of a stream says, or a whole answer. Its bytes are valid until the next one is read.
type chunk struct {
	text      []byte
	reasoning []byte
	refusal   []byte
	calls     []part
	finish    string
	usage     *llm.Usage
	failure   *failure
	known     bool // it has something that belongs in a chunk

	space []byte // for texts with escapes
}

// part is a piece of a tool call.
type part struct {
	index     int
	indexed   bool
	id, name  string
	arguments []byte
	whole     bool // the arguments came as an object
}

// failure is a provider's error as it tells it.
type failure struct{ message, code, kind, param string }

// read takes data apart. false: it is no JSON object.
func (c *chunk) read(data []byte) bool {
	*c = chunk{calls: c.calls[:0], space: c.space[:0]}
	s := scan{b: data}
	var object, message string
	ok := s.object(func(key []byte) bool {
		switch string(key) {
		case "choices":
			c.known = true
			return s.null() || s.array(func(i int) bool { return c.choice(&s, i) })
		case "usage":
			c.known = true
			return s.null() || c.count(&s)
		case "error":
			if s.null() {
				return true
			}
			c.known = true
			c.failure = &failure{}
			return c.failure.read(&s)
		case "object":
			text, ok := s.short()
			object = text
			return ok
		case "message":
			if s.space() == '"' {
				text, ok := s.short()
				message = text
				return ok
			}
		}
		return s.skip()
	})
	if object == "error" && c.failure == nil {
		c.failure, c.known = &failure{message: message}, true
	}
	return ok && s.space() == 0 && s.i == len(s.b)
}

// choice reads one of the answers; only the first is wanted.
func (c *chunk) choice(s *scan, i int) bool {
	if i > 0 || s.null() {
		return i == 0 || s.skip()
	}
	return s.object(func(key []byte) bool {
		switch string(key) {
		case "delta", "message":
			return s.null() || s.object(func(key []byte) bool { return c.delta(s, key) })
		case "finish_reason":
			var ok bool
			c.finish, ok = s.short()
			return ok
		case "usage": // some count here
			return s.null() || c.count(s)
		}
		return s.skip()
	})
}

func (c *chunk) delta(s *scan, key []byte) (ok bool) {
	switch string(key) {
	case "content":
		if s.space() == '[' { // parts, as some write them
			return s.array(func(int) bool {
				return s.object(func(key []byte) bool {
					if string(key) != "text" || s.space() != '"' {
						return s.skip()
					}
					more, ok := c.string(s)
					c.text = append(c.text[:len(c.text):len(c.text)], more...)
					return ok
				})
			})
		}
		c.text, ok = c.string(s)
	case "reasoning_content", "reasoning":
		var text []byte
		if text, ok = c.string(s); len(text) > 0 { // those who send both say the same twice
			c.reasoning = text
		}
	case "refusal":
		c.refusal, ok = c.string(s)
	case "tool_calls":
		ok = s.null() || s.array(func(int) bool { return c.call(s) })
	default:
		ok = s.skip()
	}
	return ok
}

// string reads a text; anything else counts as none.
func (c *chunk) string(s *scan) ([]byte, bool) {
	if s.space() != '"' {
		return nil, s.skip()
	}
	raw, escaped, ok := s.text()
	if !ok || !escaped {
		return raw, ok
	}
	from := len(c.space)
	c.space, ok = unescape(c.space, raw)
	return c.space[from:len(c.space):len(c.space)], ok
}

func (c *chunk) call(s *scan) bool {
	var p part
	function := func(key []byte) (ok bool) {
		switch string(key) {
		case "name":
			p.name, ok = s.short()
		case "arguments":
			if s.space() == '{' {
				from := s.i
				ok = s.skip()
				p.arguments, p.whole = s.b[from:s.i], true
				break
			}
			p.arguments, ok = c.string(s)
		default:
			ok = s.skip()
		}
		return ok
	}
	ok := s.object(func(key []byte) (ok bool) {
		switch string(key) {
		case "index":
			p.indexed = !s.null()
			if !p.indexed {
				return true
			}
			p.index, ok = s.number()
		case "id":
			p.id, ok = s.short()
		case "function":
			ok = s.null() || s.object(function)
		default:
			ok = s.skip()
		}
		return ok
	})
	c.calls = append(c.calls, p)
	return ok
}

func (c *chunk) count(s *scan) bool {
	var u llm.Usage
	ok := s.object(func(key []byte) (ok bool) {
		switch string(key) {
		case "prompt_tokens":
			u.Input, ok = s.number()
		case "completion_tokens":
			u.Output, ok = s.number()
		case "prompt_tokens_details":
			ok = s.null() || s.object(func(key []byte) (ok bool) {
				if string(key) != "cached_tokens" {
					return s.skip()
				}
				u.Cached, ok = s.number()
				return ok
			})
		case "prompt_cache_hit_tokens":
			if u.Cached == 0 {
				u.Cached, ok = s.number()
				break
			}
			ok = s.skip()
		default:
			ok = s.skip()
		}
		return ok
	})
	if u.Input > 0 || u.Output > 0 {
		c.usage = &u
	}
	return ok
}

// read takes an error apart: an object, or just a text.
func (f *failure) read(s *scan) (ok bool) {
	if s.space() == '"' {
		f.message, ok = s.short()
		return ok
	}
	if s.space() != '{' {
		from := s.i
		ok = s.skip()
		f.message = string(bytes.ToValidUTF8(s.b[from:s.i], nil))
		return ok
	}
	return s.object(func(key []byte) (ok bool) {
		to := new(string)
		switch string(key) {
		case "message":
			to = &f.message
		case "code":
			if c := s.space(); c >= '0' && c <= '9' {
				from := s.i
				ok = s.skip()
				f.code = string(s.b[from:s.i])
				return ok
			}
			to = &f.code
		case "type":
			to = &f.kind
		case "param":
			to = &f.param
		}
		*to, ok = s.short()
		return ok
	})
}
