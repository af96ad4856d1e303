#!/usr/bin/env python3
"""Clients of OpenAI's API talk to gemma serve with the real Gemma 3 270M: langchain-openai, litellm and lm-eval.

tools/test.sh clients runs this. $GEMMA_BINARY is the command, $GEMMA_TEST_MODEL the model. Prints a line for each
client, with its version and what was compared, and exits with 1 if a check fails.
"""
import contextlib
import importlib.metadata
import json
import os
import pathlib
import re
import subprocess
import sys
import time
import typing

import pydantic

FOLDER = pathlib.Path(__file__).resolve().parent
EMBEDDER = FOLDER.parent / "testdata" / "gguf" / "gemma_embedding.gguf"
NAME, EMBEDDER_NAME = "gemma-3-270m", "gemma_embedding"
BOS = 2
MOST_NATS = 0.02  # by which a log-likelihood may differ from that of transformers
SAY = "Name a color."


class Color(pydantic.BaseModel):
    """A color."""

    name: typing.Literal["red", "green", "blue"]
    is_dark: bool


@contextlib.contextmanager
def serving(*arguments):
    """Runs gemma serve with both models. Gives its address."""
    model = os.environ["GEMMA_TEST_MODEL"]
    process = subprocess.Popen(
        [os.environ["GEMMA_BINARY"], "serve", f"{NAME}={model}", str(EMBEDDER), "--port", "0", "--quiet", *arguments],
        stdout=subprocess.PIPE, text=True)
    try:
        yield re.match(r"http://\S+", process.stdout.readline())[0]
    finally:
        process.terminate()
        process.wait(timeout=60)
        process.stdout.close()


def require(holds, *found):
    if not holds:
        raise AssertionError(found)


def langchain(url):
    from langchain_openai import ChatOpenAI, OpenAIEmbeddings

    settings = {"base_url": f"{url}/v1", "api_key": "none", "max_retries": 0}
    chat = ChatOpenAI(model=NAME, temperature=0, max_tokens=12, **settings)
    answer = chat.invoke(SAY)
    require(answer.content and answer.usage_metadata["output_tokens"] <= 12, answer)
    pieces = list(chat.stream(SAY))
    require("".join(piece.content for piece in pieces) == answer.content, pieces, answer)
    color = ChatOpenAI(model=NAME, temperature=0, max_tokens=60, **settings).with_structured_output(
        Color, method="json_schema").invoke(SAY)
    require(isinstance(color, Color), color)
    # Otherwise it sends the tokens of OpenAI's own vocabulary.
    embedder = OpenAIEmbeddings(model=EMBEDDER_NAME, check_embedding_ctx_length=False, **settings)
    one, two = embedder.embed_documents(["the cat", "us"])
    require(len(one) == len(two) and one != two and embedder.embed_query("us") == two, one, two)
    return "chat, stream, structured output, embeddings"


def litellm(url):
    import litellm as client

    settings = {"api_base": f"{url}/v1", "api_key": "none", "num_retries": 0}
    messages = [{"role": "user", "content": SAY}]
    chat = {"model": f"openai/{NAME}", "messages": messages, "temperature": 0, **settings}
    answer = client.completion(max_tokens=12, **chat)
    text = answer.choices[0].message.content
    require(text and answer.usage.completion_tokens <= 12, answer)
    pieces = [piece.choices[0].delta.content or "" for piece in client.completion(max_tokens=12, stream=True, **chat)]
    require("".join(pieces) == text, pieces, text)
    answer = client.completion(max_tokens=60, response_format=Color, **chat)
    Color.model_validate_json(answer.choices[0].message.content)
    answer = client.text_completion(model=f"text-completion-openai/{NAME}", prompt="Red, green and", max_tokens=3,
                                    temperature=0, **settings)
    require(answer.choices[0].text, answer)
    vectors = client.embedding(model=f"openai/{EMBEDDER_NAME}", input=["the cat", "us"], **settings)
    require(len(vectors.data) == 2, vectors)
    try:
        client.completion(model="openai/none", messages=messages, **settings)
        require(False, "a model that does not exist answers")
    except client.NotFoundError:
        pass
    return "chat, stream, structured output, text, embeddings, errors"


def lm_eval(url):
    import lm_eval as client

    def texts(line):
        return [f"Question: {line['question']}\nAnswer: {choice}" for choice in line["choices"]]

    # With tokenizer_backend=remote, lm-eval puts no BOS before a prompt. A choice is therefore the whole text after an
    # empty one, for which custom_prefix_token_id stands.
    task = {"task": "gemma_questions", "dataset_path": "json", "output_type": "multiple_choice", "test_split": "test",
            "dataset_kwargs": {"data_files": {"test": str(FOLDER / "questions.jsonl")}},
            "doc_to_text": lambda line: "", "doc_to_choice": texts, "doc_to_target": lambda line: line["answer"],
            "target_delimiter": "", "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}]}
    begin = time.monotonic()
    result = client.simple_evaluate(
        model="local-completions", tasks=[task], bootstrap_iters=0, log_samples=True,
        model_args={"model": NAME, "base_url": f"{url}/v1/completions", "tokenizer_backend": "remote",
                    "custom_prefix_token_id": BOS, "num_concurrent": 2, "batch_size": 16, "max_length": 1024})
    seconds = time.monotonic() - begin
    wanted = json.loads((FOLDER / "likelihoods.json").read_text(encoding="utf-8"))
    found = {sample["doc_id"]: [pair[0] for pair in sample["filtered_resps"]]
             for sample in result["samples"]["gemma_questions"]}
    require(sorted(found) == list(range(len(wanted))), len(found), len(wanted))
    largest = max(abs(a - b) for i, row in enumerate(wanted) for a, b in zip(found[i], row, strict=True))
    require(largest <= MOST_NATS, largest)
    answers = [json.loads(line)["answer"] for line in (FOLDER / "questions.jsonl").read_text().splitlines()]
    best = [row.index(max(row)) for row in wanted]
    accuracy = sum(a == b for a, b in zip(answers, best, strict=True)) / len(answers)
    measured = result["results"]["gemma_questions"]["acc,none"]
    require(abs(measured - accuracy) < 0.011, measured, accuracy)  # two questions: choices that are nearly equal
    return (f"{len(wanted)} questions, {4 * len(wanted)} log-likelihoods: largest difference {largest:.4f} nats; "
            f"accuracy {measured:.3f}, transformers {accuracy:.3f}; {seconds:.0f} s")


def main():
    failed = False
    os.environ.update(HF_HUB_OFFLINE="1", LITELLM_LOCAL_MODEL_COST_MAP="True")  # nothing comes from the network
    # As the reference computes. Other clients do not mind.
    with serving("--activations", "float32", "--cache-type", "float32") as url:
        for package, check in (("langchain-openai", langchain), ("litellm", litellm), ("lm-eval", lm_eval)):
            version = importlib.metadata.version(package)
            try:
                print(f"{package} {version}: {check(url)}", flush=True)
            except Exception as error:  # pylint: disable=broad-exception-caught
                failed = True
                print(f"{package} {version}: failed: {type(error).__name__}: {error}", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
