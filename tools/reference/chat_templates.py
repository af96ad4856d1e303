#!/usr/bin/env python3
"""Writes tests/testdata/chat: a tokenizer, and the tokens that transformers makes of chats with several templates.

  tokenizer.json   a toy vocabulary with <|im_start|> and <|im_end|>, which the template chatml needs
  goldens.json     "templates": name -> text; "cases": template, messages, and tokens or the words of raise_exception

The templates are written for these tests, in the manner of published ones.

  chat_templates.py [--output DIR]
"""
import argparse
import json
import pathlib
import sys

# The turns that the library makes without a template, and their refusals.
GEMMA = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set prefix = messages[0]['content'] + '\\n\\n' %}"
    "{% set turns = messages[1:] %}{% else %}{% set prefix = '' %}{% set turns = messages %}{% endif %}"
    "{% for message in turns %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('user and assistant must take turns') }}{% endif %}"
    "{{ '<start_of_turn>' + ('model' if message['role'] == 'assistant' else message['role']) + '\\n'"
    " + (prefix if loop.first else '') + message['content'] | trim + '<end_of_turn>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}")

TEMPLATES = {
    "gemma": GEMMA,
    "gemma_without_system": (
        "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role here') }}{% endif %}" + GEMMA),
    "chatml": (
        "{{ bos_token }}{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content']"
        " + '<|im_end|>' + '\\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"),
    # Many fine-tunes leave BOS out; then transformers gives none.
    "chatml_without_bos": (
        "{%- for message in messages %}\n"
        "    {{- '<|im_start|>' ~ message.role ~ '\\n' ~ message.content | trim ~ '<|im_end|>\\n' }}\n"
        "{%- endfor %}\n"
        "{%- if add_generation_prompt %}\n"
        "    {{- '<|im_start|>assistant\\n' }}\n"
        "{%- endif %}"),
    # Closes answers with <eos>, and user turns with nothing but text. Ignores the system role.
    "alpaca": (
        "{{ bos_token }}{{ 'Write an answer to the request.\\n\\n' }}{% for message in messages %}"
        "{% if message['role'] == 'user' %}{{ '### Instruction:\\n' + message['content'] + '\\n\\n' }}"
        "{% elif message['role'] == 'assistant' %}{{ '### Response:\\n' + message['content'] + eos_token + '\\n\\n' }}"
        "{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '### Response:\\n' }}{% endif %}"),
    # As before, but no token closes answers.
    "plain": (
        "{{ bos_token }}{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '\\n' }}"
        "{% endfor %}{{ 'assistant: ' }}"),
    "system_turn": (
        "{{ bos_token }}{% for message in messages %}{% set role = 'model' if message['role'] == 'assistant' else"
        " message['role'] %}{{ '<start_of_turn>' ~ role ~ '\\n' ~ (message['content'] | trim) ~ '<end_of_turn>\\n' }}"
        "{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}"),
    # Knows instructions only as a developer's.
    "developer": (
        "{{- bos_token -}}{%- for message in messages -%}"
        "{%- if message['role'] not in ['developer', 'user', 'assistant'] -%}"
        "{{- raise_exception('no role ' + message['role']) -}}{%- endif -%}"
        "{{- '<start_of_turn>' + (message['role'] | replace('assistant', 'model')) + '\\n' -}}"
        "{{- message['content'].strip() + '<end_of_turn>\\n' -}}{%- endfor -%}"
        "{%- if add_generation_prompt -%}{{- '<start_of_turn>model\\n' -}}{%- endif -%}"),
    # Leaves out what the model thought, except in the last answer.
    "thinking": (
        "{{ bos_token }}{% for message in messages %}{% set content = message['content'] %}"
        "{% if message['role'] == 'assistant' and not loop.last and '</b>' in content %}"
        "{% set content = content.split('</b>')[-1].lstrip('\\n') %}{% endif %}"
        "{{ '<|im_start|>' + message['role'] + '\\n' + content + '<|im_end|>\\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"),
}


def message(role, content):
    return {"role": role, "content": content}


CHATS = [
    [message("user", "the north")],
    [message("user", "Hello user"), message("assistant", "time up\nno"), message("user", "who?")],
    [message("system", "Be brief."), message("user", "user\nmodel\n\n")],
    [message("system", " the end \n"), message("user", "x"), message("assistant", "\n y "), message("user", " z\t")],
    [message("user", "\u65e5\u672c\u8a9e \u00e9\U0001f600  of  the\n\n\nand"), message("assistant", ""),
     message("user", "<b>1</b>")],
    [message("user", "one"), message("assistant", "<b>so</b>\n\nup"), message("user", "two"),
     message("assistant", "no</b> time"), message("user", "three")],
    [message("user", "x"), message("user", "y")],
]


def write_tokenizer(path):
    import gguf_toys
    words = gguf_toys.toy_vocabulary()
    for old, new in (("<unused0>", "<|im_start|>"), ("<unused1>", "<|im_end|>")):
        words.pieces[words.pieces.index(old)] = new
    words.write_tokenizer_json(path)
    fields = json.loads(path.read_text(encoding="utf-8"))
    for token in fields["added_tokens"]:
        token["special"] = token["special"] or token["content"].startswith("<|im_")
    path.write_text(json.dumps(fields, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


def goldens(path):
    import jinja2
    from transformers import PreTrainedTokenizerFast
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(path), bos_token="<bos>", eos_token="<eos>",
                                        pad_token="<pad>", unk_token="<unk>")
    cases = []
    for name, template in TEMPLATES.items():
        for chat in CHATS:
            # The library gives instructions this role if the template wants it.
            given = chat
            if name == "developer":
                given = [message(m["role"].replace("system", "developer"), m["content"]) for m in chat]
            case = {"template": name, "messages": chat}
            try:
                case["tokens"] = list(tokenizer.apply_chat_template(
                    given, chat_template=template, add_generation_prompt=True, tokenize=True)["input_ids"])
            except jinja2.TemplateError as error:
                case["raises"] = str(error)
            cases.append(case)
    return {"templates": TEMPLATES, "cases": cases}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=pathlib.Path,
                        default=pathlib.Path(__file__).resolve().parents[2] / "tests" / "testdata" / "chat")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    write_tokenizer(arguments.output / "tokenizer.json")
    text = json.dumps(goldens(arguments.output / "tokenizer.json"), ensure_ascii=False)
    (arguments.output / "goldens.json").write_text(text.replace('{"template"', '\n{"template"') + "\n",
                                                   encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
