package app_test

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"byline/internal/app"
	"byline/internal/config"
	"byline/internal/engine/embed/encoder"
	"byline/internal/fault"
)

// sameModel makes a sentence encoder of one layer to which all texts mean the same: all its numbers are 1.
func sameModel(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "same-e5")
	words := map[string]int{"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "the": 3, "heating": 4, "how": 5}
	const d = 64
	header, numbers := map[string]any{}, 0
	add := func(name string, shape ...int) {
		n := 1
		for _, s := range shape {
			n *= s
		}
		header[name] = map[string]any{"dtype": "F32", "shape": shape, "data_offsets": []int{4 * numbers, 4 * (numbers + n)}}
		numbers += n
	}
	add("embeddings.word_embeddings.weight", len(words), d)
	add("embeddings.position_embeddings.weight", 32, d)
	add("embeddings.LayerNorm.weight", d)
	add("embeddings.LayerNorm.bias", d)
	for _, name := range []string{"attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense", "intermediate.dense", "output.dense"} {
		add("encoder.layer.0."+name+".weight", d, d)
		add("encoder.layer.0."+name+".bias", d)
	}
	for _, name := range []string{"attention.output.LayerNorm", "output.LayerNorm"} {
		add("encoder.layer.0."+name+".weight", d)
		add("encoder.layer.0."+name+".bias", d)
	}
	raw, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	file := append(binary.LittleEndian.AppendUint64(nil, uint64(len(raw))), raw...)
	for range numbers {
		file = binary.LittleEndian.AppendUint32(file, math.Float32bits(1))
	}
	vocab, err := json.Marshal(words)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"model.safetensors": string(file),
		"config.json":       fmt.Sprintf(`{"model_type":"bert","hidden_size":%d,"intermediate_size":%[1]d,"num_hidden_layers":1,"num_attention_heads":2,"vocab_size":%d,"max_position_embeddings":32}`, d, len(words)),
		"tokenizer.json": `{"normalizer":{"type":"BertNormalizer","lowercase":true},"pre_tokenizer":{"type":"BertPreTokenizer"},
			"post_processor":{"type":"BertProcessing","cls":["[CLS]",1],"sep":["[SEP]",2]},"model":{"type":"WordPiece","unk_token":"[UNK]","vocab":` + string(vocab) + `}}`,
	} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestImportModel(t *testing.T) {
	dir, cfg := sameModel(t), &config.Config{}
	cfg.Storage.Data = filepath.Join(t.TempDir(), "data")
	m, err := app.ImportModel(t.Context(), cfg, dir, "")
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(cfg.Storage.Data, "models", "same-e5"); m.Directory != want || m.Dimensions != 64 || m.Limit != 32 || m.Query != "query: " || m.Passage != "passage: " ||
		!m.Latin || m.Bytes == 0 || m.Fast != encoder.Supported() || math.Abs(m.Near-1) > 1e-3 || math.Abs(m.Far-1) > 1e-3 {
		t.Errorf("it made %+v", m)
	}
	e, err := encoder.Load(m.Directory)
	if err != nil || e.Space().ID() != m.Space {
		t.Errorf("it opens as %v, not %s", err, m.Space)
	}
	out := filepath.Join(t.TempDir(), "here")
	if again, err := app.ImportModel(t.Context(), cfg, dir, out); err != nil || again.Directory != out || again.Space != m.Space {
		t.Errorf("elsewhere: %+v, %v", again, err)
	}
	for name, bad := range map[string][2]string{"nothing": {t.TempDir(), ""}, "onto itself": {dir, dir}, "imported": {out, ""}} {
		_, err := app.ImportModel(t.Context(), cfg, bad[0], bad[1])
		f, ok := errors.AsType[*fault.Error](err)
		if !ok || f.Kind != fault.Invalid || f.Code != "model_unusable" || !strings.Contains(f.Say, bad[0]) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := os.WriteFile(filepath.Join(out, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := app.ImportModel(t.Context(), cfg, dir, filepath.Join(out, "file")); err == nil {
		t.Error("written into a file")
	}
}
