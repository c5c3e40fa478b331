package table

// Plain is the vector of a text as it is, whatever is known of it, and its tokens: what other programs make of the files.
func (t *Table) Plain(text string) ([]int32, []float32) {
	ids, _, _ := t.tokenizer().Pieces(nil, text, limit)
	v := make([]float32, t.space.Dims)
	t.sum(v, ids)
	return ids, v
}

// BuiltinFiles are the model and the tokenizer of the built-in table.
func BuiltinFiles() (model, tokenizer []byte) { return []byte(builtinModel), builtinTokenizer }

var (
	Compatible = compatible
	Parse      = parse
)
