#!/usr/bin/env python3
"""Writes a toy of Gemma 4 that chats, its answers, and what transformers makes of conversations with Google's template.

  models/gemma4_chat/    config.json, generation_config.json, model.safetensors (bfloat16), tokenizer.json (Gemma 4's
                         control tokens, merges for runs of blanks), tokenizer_config.json
  models/gemma4_chat/answers.json
                         cases: text (of a user's message), prompt (token ids, without thoughts), answer (the greedy
                         continuation without the token that ends it), its text, stop (the token that ends it) and
                         suppressed (how often a token of suppress_tokens had the largest logit). Each of the three
                         stop tokens ends an answer.
  models/gemma4_chat/texts.json
                         [text, token ids] by the package tokenizers: runs of blanks, and names of tokens, which are
                         text
  gguf/gemma4_chat.gguf  the same model and tokenizer, in the form "gemma4": merges, and scores that are all -1000
  chat/gemma4.json       cases: name, messages, tools, thinking, generation_prompt, and text: the template's output. If
                         no text of the case contains a control token's name, also tokens: those of the toy's tokenizer
  chat/gemma4.json is written only with --template, the file chat_template.jinja of google/gemma-4-31B-it.

  gemma4_chat.py [--output DIR] [--template FILE]
"""
import argparse
import json
import pathlib
import sys
import tempfile

import gguf
import numpy as np
import tokenizers
import torch
import transformers
from safetensors.torch import save_file

import gemma4_conversations
import gemma4_gguf
import gemma4_toys
import gguf_toys
import hf_models
import toy_models
from hf_models import ReferenceError
from toy_models import GLOBAL, LOCAL
from vocabulary import BOS, BYTE, CONTROL, EOS, NORMAL, PAD, SPACE, UNK, USER_DEFINED, Vocabulary

# Google's order. Those that llama.cpp's converter calls user-defined are printed by its programs.
MARKERS = ("<|tool>", "<tool|>", "<|tool_call>", "<tool_call|>", "<|tool_response>", "<tool_response|>", '<|"|>',
           "<|think|>", "<|channel>", "<channel|>", "<|turn>", "<turn|>", "<|image>", "<|audio>")
LAST_MARKERS = ("<|image|>", "<|audio|>", "<image|>", "<audio|>", "<|video|>")
PRINTED = ("<|tool_call>", "<tool_call|>", "<|tool_response>", "<tool_response|>", '<|"|>', "<|channel>", "<channel|>")
STOPS = ("<eos>", "<turn|>", "<|tool_response>")
SUPPRESSED = ("<audio|>", "<image|>")  # by the generation_config.json of the 12B
SIZE = 512
SHAPE = dict(
    vocab_size=SIZE, vocab_size_per_layer_input=SIZE, hidden_size=16, intermediate_size=32, num_hidden_layers=4,
    layer_types=[LOCAL, GLOBAL, LOCAL, GLOBAL], num_attention_heads=2, num_key_value_heads=1,
    hidden_size_per_layer_input=4, num_kv_shared_layers=2, use_double_wide_mlp=True)
SEED = 3
FAVOUR = dict.fromkeys(STOPS, 1.3) | dict.fromkeys(SUPPRESSED, 1.5)
ANSWER_TOKENS = range(3, 40)
TEXTS = [
    "", " ", "the model", " the  model ", "\n", "\n\n\n", "a\n\nb", "\n" * 7, "\n" * 8, "\n" * 17, " " * 8, " " * 9,
    " " * 21 + "x", "\t\t\t\t\t", "\r\n \n\t ", "</s> <s>", "<table><b>the</b></table>", "<0x41><0x0A>", "<unused3>",
    "<|turn", "turn|>", "<eos> <|turn>model <turn|> <|\"|>", "\u2581the\u2581of", "\u65e5\u672c\u8a9e \u00e9\U0001f600", "Hello 1234567890, user's _{}",
]
WORDS = "the of and to in is that it for was model user time".split()


class Words(Vocabulary):
    """A vocabulary in the form of Gemma 4's files. Only control tokens are apart; runs of blanks are merged."""

    @classmethod
    def toy(cls):
        old = gguf_toys.toy_vocabulary()
        first = [(piece, CONTROL) for piece in ("<pad>", "<eos>", "<bos>", "<unk>", "<mask>")]
        first += [(piece, USER_DEFINED if piece in PRINTED else CONTROL) for piece in MARKERS]
        rows = [(piece, kind, -1000.0) for piece, kind in first]
        for piece, kind, score in zip(old.pieces, old.types, old.scores):
            if kind == USER_DEFINED:  # runs and tags
                rows.append((piece.replace(" ", SPACE), NORMAL, 1000.0 + len(piece)))
            elif kind in (NORMAL, BYTE):
                rows.append((piece, kind, score))
        spare = SIZE - len(LAST_MARKERS) - len(rows)
        rows += [(f"<unused{i}>", NORMAL, -1000.0) for i in range(spare)]
        rows += [(piece, CONTROL, -1000.0) for piece in LAST_MARKERS]
        pieces, types, scores = (list(column) for column in zip(*rows))
        return cls(pieces, scores, types)

    def write_tokenizer_json(self, path):
        super().write_tokenizer_json(path)
        fields = json.loads(path.read_text(encoding="utf-8"))
        for token in fields["added_tokens"]:
            token["special"] = True
        path.write_text(json.dumps(fields, ensure_ascii=False), encoding="utf-8")

    def add_to_gguf(self, writer, add_eos=False, suppress=True):
        writer.add_tokenizer_model("gemma4")
        writer.add_token_list(self.pieces)
        writer.add_token_scores([-1000.0] * len(self.pieces))
        writer.add_token_types(self.types)
        writer.add_token_merges([" ".join(pair) for pair in self.merges()])
        writer.add_bos_token_id(BOS)
        writer.add_eos_token_id(EOS)
        writer.add_unk_token_id(UNK)
        writer.add_pad_token_id(PAD)
        writer.add_mask_token_id(self.pieces.index("<mask>"))
        writer.add_add_space_prefix(False)
        writer.add_add_bos_token(True)
        if add_eos:
            writer.add_add_eos_token(True)
        if suppress:
            writer.add_array("tokenizer.ggml.suppress_tokens", self.ids(SUPPRESSED))

    def plain_tokenizer(self):
        """Returns a tokenizer that knows no control tokens, so that their names in a text are text."""
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "tokenizer.json"
            self.write_tokenizer_json(path)
            fields = json.loads(path.read_text(encoding="utf-8"))
        return tokenizers.Tokenizer.from_str(json.dumps(fields | dict(added_tokens=[], post_processor=None)))

    def ids(self, pieces):
        return [self.pieces.index(piece) for piece in pieces]


def build_model(words):
    config = transformers.Gemma4TextConfig(**(gemma4_toys.COMMON | SHAPE))
    config._attn_implementation = "eager"
    model = hf_models.new_model(config, torch.float32)
    with torch.no_grad():
        gemma4_toys.randomize(model, SEED)
        rows = model.model.embed_tokens.weight
        for i, (piece, kind) in enumerate(zip(words.pieces, words.types)):
            plain = 0.3 if kind == BYTE or piece.startswith("<") else 1.0
            rows[i] *= FAVOUR.get(piece, plain)
        for p in model.state_dict().values():
            p.copy_(p.bfloat16())
    return model


def write_lines(path, values):
    """Writes a list, one value per line."""
    lines = ",\n".join(json.dumps(value, ensure_ascii=False) for value in values)
    path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def write_json(path, value):
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def write_model(directory, model, words):
    toy_models.write_config(directory, model.config, "bfloat16")
    save_file(toy_models.tensors_of(model, torch.bfloat16), directory / "model.safetensors", metadata={"format": "pt"})
    words.write_tokenizer_json(directory / "tokenizer.json")
    write_json(directory / "tokenizer_config.json", dict(
        tokenizer_class="GemmaTokenizer", bos_token="<bos>", eos_token="<eos>", unk_token="<unk>", pad_token="<pad>",
        mask_token="<mask>"))
    write_json(directory / "generation_config.json", dict(
        bos_token_id=BOS, pad_token_id=PAD, eos_token_id=words.ids(STOPS), do_sample=True, temperature=1.0, top_k=64,
        top_p=0.95, suppress_tokens=words.ids(SUPPRESSED)))


def answer_of(model, prompt, stops, suppressed):
    """Returns the greedy answer, the token that ends it, and how often a suppressed token had the largest logit.

    Returns None if the answer's length is not in ANSWER_TOKENS, or if rounding may decide a choice.
    """
    answer, count = [], 0
    while len(answer) < ANSWER_TOKENS.stop:
        logits = hf_models.logits(model, prompt + answer, last=1)[0]
        count += int(logits.argmax()) in suppressed
        logits[suppressed] = -torch.inf
        best, (token, _) = logits.topk(2)
        if best[0] - best[1] <= toy_models.LEAST_MARGIN:
            return None
        if int(token) in stops:
            return (answer, int(token), count) if len(answer) in ANSWER_TOKENS else None
        answer.append(int(token))
    return None


def find_answers(model, words, tokenizer):
    """Finds, for each stop token, a message whose answer it ends, after a suppressed token was avoided."""
    random = np.random.default_rng(0)
    cases = {}
    for _ in range(2_000):
        text = " ".join(random.choice(WORDS, 5))
        prompt = tokenizer.encode(
            f"<bos><|turn>user\n{text}<turn|>\n<|turn>model\n<|channel>thought\n<channel|>", add_special_tokens=False)
        found = answer_of(model, prompt, words.ids(STOPS), words.ids(SUPPRESSED))
        if not found or words.pieces[found[1]] in cases or found[2] == 0:
            continue
        answer, stop, count = found
        decoded = tokenizer.decode(answer, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        if "\ufffd" in decoded or any(words.types[token] in (CONTROL, USER_DEFINED) for token in answer):
            continue
        cases[words.pieces[stop]] = dict(text=text, prompt=prompt, answer=answer, answer_text=decoded,
                                         stop=words.pieces[stop], suppressed=count)
        if len(cases) == len(STOPS):
            return [cases[stop] for stop in STOPS]
    raise ReferenceError(f"only {sorted(cases)} ended an answer, wanted {STOPS}")


def check_generate(directory, case, words):
    """Checks that transformers' own loop gives the same answer with the file generation_config.json."""
    model = transformers.AutoModelForCausalLM.from_pretrained(
        directory, attn_implementation="eager", dtype=torch.float32)
    ids = model.generate(torch.tensor([case["prompt"]]), do_sample=False, max_new_tokens=ANSWER_TOKENS.stop)[0]
    if ids[len(case["prompt"]) :].tolist() != case["answer"] + words.ids([case["stop"]]):
        raise ReferenceError(f"{directory}: generate() gives another answer to {case['text']!r}")


def render(tokenizer, template):
    """Returns the cases of chat/gemma4.json."""
    names = set(MARKERS + LAST_MARKERS)
    cases = []
    for case in gemma4_conversations.CASES:
        options = dict(chat_template=template, tools=case["tools"], add_generation_prompt=case["generation_prompt"])
        if case["thinking"] is not None:
            options["enable_thinking"] = case["thinking"]
        text = tokenizer.apply_chat_template(case["messages"], tokenize=False, **options)
        given = json.dumps([case["messages"], case["tools"]], ensure_ascii=False).replace('\\"', '"')
        tokens = {}
        if not any(name in given for name in names):
            tokens = dict(tokens=tokenizer.encode(text, add_special_tokens=False))
        cases.append(case | dict(text=text) | tokens)
    return cases


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=pathlib.Path, default=hf_models.TESTDATA)
    parser.add_argument("--template", type=pathlib.Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    words = Words.toy()
    directory = arguments.output / "models" / "gemma4_chat"
    for folder in (directory, arguments.output / "gguf", arguments.output / "chat"):
        folder.mkdir(parents=True, exist_ok=True)
    model = build_model(words)
    write_model(directory, model, words)
    gemma4_gguf.write(arguments.output / "gguf" / "gemma4_chat.gguf", model.config, gemma4_gguf.tensors_of(model),
                      words, gguf.GGMLQuantizationType.BF16)
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(directory / "tokenizer.json"), bos_token="<bos>", eos_token="<eos>", unk_token="<unk>")
    if arguments.template:
        cases = render(tokenizer, arguments.template.read_text(encoding="utf-8"))
        write_lines(arguments.output / "chat" / "gemma4.json", cases)
        print(f"{len(cases)} conversations, {sum('tokens' in case for case in cases)} with tokens")
    answers = find_answers(model, words, tokenizer)
    for case in answers:
        check_generate(directory, case, words)
        print(f"{case['stop']:18s} after {len(case['answer']):2d} tokens, {case['suppressed']} suppressed:"
              f" {case['answer_text']!r}")
    write_lines(directory / "answers.json", answers)
    plain = words.plain_tokenizer()
    write_lines(directory / "texts.json", [[text, plain.encode(text).ids] for text in TEXTS])


if __name__ == "__main__":
    try:
        main()
    except (ReferenceError, OSError) as error:
        sys.exit(f"gemma4_chat: {error}")
