"""Arguments of llama_cpp.Llama that libgemma.Llama does not do."""

from __future__ import annotations

import warnings
from typing import Any, Mapping

from libgemma._errors import UnimplementedError

# Arguments of the constructor that change only where and how fast the model computes.
_SPEED = ("n_gpu_layers", "split_mode", "main_gpu", "tensor_split", "use_mmap", "use_mlock",
          "n_ubatch", "offload_kqv", "flash_attn", "op_offload", "swa_full", "no_perf", "numa",
          "verbose", "embedding")
# Those that would change the answer, and the only value of each that does not.
_UNDONE: dict[str, Any] = {
    "vocab_only": False, "kv_overrides": None, "rope_scaling_type": -1, "pooling_type": -1,
    "rope_freq_base": 0.0, "rope_freq_scale": 0.0, "yarn_ext_factor": -1.0,
    "yarn_attn_factor": 1.0, "yarn_beta_fast": 32.0, "yarn_beta_slow": 1.0,
    "yarn_orig_ctx": 0, "lora_base": None, "chat_handler": None, "draft_model": None,
    "tokenizer": None, "spm_infill": False}
# The same of calls, with what to use instead.
UNDONE_IN_CALLS: dict[str, tuple[Any, str]] = {
    "tfs_z": (1.0, "top_p"), "mirostat_mode": (0, "top_p"),
    "stopping_criteria": (None, "stop=[TEXT]"),
    "logits_processor": (None, "logit_bias={TOKEN: VALUE}"),
    "grammar": (None, "response_format or regex='...'"),
    "functions": (None, "tools=[...]"), "function_call": (None, "tool_choice=...")}


def check_load_arguments(others: Mapping[str, Any]) -> None:
    """Checks the arguments of the constructor that are not done."""
    if others.get("n_gpu_layers", 0) != 0:
        warnings.warn("libgemma computes on the CPU: n_gpu_layers has no effect", stacklevel=3)
    for name, value in others.items():
        if name in _UNDONE:
            if value != _UNDONE[name]:
                raise UnimplementedError(f"{name} is {value!r}, wanted {_UNDONE[name]!r}: libgemma "
                                         "takes it from the model's file")
        elif name not in _SPEED:
            raise TypeError(f"Llama() got an unexpected keyword argument {name!r}")
