#!/usr/bin/env python3
"""Embeds the lines of a file with another engine and prints the seconds as a line of JSON. embed.py runs it.

  embed_child.py transformers DIR FILE --threads N --batch B --dtype bfloat16
  embed_child.py llama.cpp MODEL.gguf FILE --threads N --batch B
"""
import argparse
import json
import pathlib
import time


def with_transformers(arguments):
    """Embeds like sentence-transformers: padded batches, the mean without padding, then the dense layers."""
    import tokenizers
    import torch
    import transformers
    from safetensors.torch import load_file

    torch.set_num_threads(arguments.threads)
    transformers.logging.set_verbosity_error()
    directory = pathlib.Path(arguments.model)
    dtype = getattr(torch, arguments.dtype)
    model = transformers.Gemma3TextModel.from_pretrained(directory, dtype=dtype).eval()
    dense = [load_file(path)["linear.weight"].to(dtype) for path in sorted(directory.glob("*_Dense/model.safetensors"))]
    tokenizer = tokenizers.Tokenizer.from_file(str(directory / "tokenizer.json"))
    tokenizer.enable_padding()

    def embed(texts):
        encoded = tokenizer.encode_batch([text + "<eos>" for text in texts])
        ids = torch.tensor([each.ids for each in encoded])
        mask = torch.tensor([each.attention_mask for each in encoded])
        with torch.inference_mode():
            states = model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
            weights = mask.unsqueeze(-1).to(dtype)
            pooled = (states * weights).sum(1) / weights.sum(1)
            for weight in dense:
                pooled = torch.nn.functional.linear(pooled, weight)
            return torch.nn.functional.normalize(pooled.float(), dim=1)

    return embed, f"transformers {transformers.__version__}, torch {torch.__version__}, {arguments.dtype}"


def with_llama_cpp(arguments):
    import llama_cpp

    rows = 2048  # one pass must hold a whole text
    model = llama_cpp.Llama(arguments.model, embedding=True, n_ctx=rows, n_batch=rows, n_ubatch=rows, verbose=False,
                            n_threads=arguments.threads, n_threads_batch=arguments.threads)
    return model.embed, f"llama.cpp, llama_cpp_python {llama_cpp.__version__}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine", choices=("transformers", "llama.cpp"))
    parser.add_argument("model")
    parser.add_argument("texts", type=pathlib.Path)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--dtype", default="bfloat16")
    arguments = parser.parse_args()
    embed, version = (with_transformers if arguments.engine == "transformers" else with_llama_cpp)(arguments)
    texts = arguments.texts.read_text(encoding="utf-8").splitlines()
    embed(texts[:1])
    begin = time.monotonic()
    for at in range(0, len(texts), arguments.batch):
        embed(texts[at : at + arguments.batch])
    print(json.dumps({"seconds": time.monotonic() - begin, "version": version}), flush=True)


if __name__ == "__main__":
    main()
