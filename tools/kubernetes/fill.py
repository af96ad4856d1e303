#!/usr/bin/env python3
"""Writes gemma.yaml with the values of a model, such as the memory that `gemma inspect` predicts.

  fill.py model.gguf --image IMAGE --volume CLAIM | kubectl apply -f -

MODEL is a file, or a name that `gemma pull` knows. The volume of CLAIM has a file of this name.
"""
import argparse
import json
import pathlib
import re
import string
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
MIB = 1 << 20

# The memory of a server besides the model, at most: bodies that wait (256 MiB), bodies that arrive
# (32 of --max-body), and the process itself.
MAX_BODY = 4 * MIB
OTHER = 256 * MIB + 32 * MAX_BODY + 128 * MIB

NAMES = ("name", "namespace", "metrics_namespace", "volume")


def count(text):
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("model", metavar="MODEL")
    add("--image", required=True, help="a container image with the command gemma")
    add("--volume", required=True, metavar="CLAIM", help="a PersistentVolumeClaim with the model")
    add("--name", default="gemma", help="of the deployment and the service (default gemma)")
    add("--namespace", default="default", help="(default default)")
    add("--metrics-namespace", default="monitoring", metavar="NAMESPACE",
        help="whose pods may reach the server, too (default monitoring)")
    add("--replicas", type=count, default=1, metavar="N", help="pods (default 1)")
    add("--cpus", type=count, default=4, metavar="N", help="cores of a pod (default 4)")
    add("--context", type=count, default=4096, metavar="N",
        help="tokens of a request (default 4096)")
    add("--batch-size", type=count, default=8, metavar="N",
        help="requests that are computed together (default 8)")
    add("--reuse", type=count, default=1024, metavar="MIB",
        help="room in --memory for beginnings of prompts, of which the server keeps 1024 MiB at "
             "most (default 1024)")
    add("--gemma", default="gemma", metavar="FILE", help="the command (default gemma)")
    options = parser.parse_args(arguments)
    for name in NAMES:
        value = getattr(options, name)
        first = "[a-z]" if name == "name" else "[a-z0-9]"  # a service begins with a letter
        if not re.fullmatch(first + r"([-a-z0-9]{0,61}[a-z0-9])?", value):
            parser.error(f"--{name.replace('_', '-')} is {value!r}, wanted small letters, digits "
                         f"and '-', beginning with {first}, as Kubernetes does")
    if not re.fullmatch(r"[\w./:@-]+", options.image, re.ASCII):
        parser.error(f"--image is {options.image!r}, wanted the name of an image")
    return options


def inspect(options):
    """Returns the report of `gemma inspect --json`. Exits as the command does if it fails."""
    command = [options.gemma, "inspect", options.model, "--json", "--threads", str(options.cpus),
               "--context", str(options.context)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    if done.returncode != 0:
        sys.exit(done.returncode)
    return json.loads(done.stdout)


def memory_of(report, options):
    """Returns two numbers of bytes: what --memory allows the server, and what the pod needs.

    The first is the memory of weights that are not mapped, of passes, of the caches and logits of
    all requests, and of what is kept of prompts. The second adds mapped weights, which are read
    fast only while they stay in memory, and OTHER.
    """
    memory = report["memory"]
    logits = 4 * report["config"]["vocab_size"]  # of a request
    served = (memory["weights"] - memory["mapped"] + memory["scratch"]
              + options.batch_size * (memory["cache"] + logits) + options.reuse * MIB)
    return served, served + memory["mapped"] + OTHER


def manifest(report, options):
    """Returns the text of gemma.yaml with the values."""
    served, pod = memory_of(report, options)
    file = pathlib.PurePath(report["path"]).name
    args = ["serve", f"/models/{file}", "--host", "0.0.0.0", "--port", "8080", "--no-auth",
            "--threads", str(options.cpus), "--context", str(options.context),
            "--batch-size", str(options.batch_size), "--memory", f"{-(-served // MIB)}MiB",
            "--max-body", str(MAX_BODY), "--grace", "60"]
    host = f"{options.name}.{options.namespace}"
    for known in (options.name, host, f"{host}.svc", f"{host}.svc.cluster.local"):
        args += ["--allow-host", known]
    template = string.Template((HERE / "gemma.yaml").read_text(encoding="utf-8"))
    texts = {name: json.dumps(getattr(options, name)) for name in (*NAMES, "image")}
    return template.substitute(texts, replicas=options.replicas, cpus=options.cpus,
                               args=json.dumps(args), memory=f"{-(-pod // MIB)}Mi")


def main():
    options = parse_arguments()
    print(manifest(inspect(options), options), end="")


if __name__ == "__main__":
    main()
