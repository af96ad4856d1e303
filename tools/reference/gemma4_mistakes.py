"""Models of Gemma 4 with one mistake each, which the toys must tell from the right one.

Each mistake is a context: inside it, transformers' model computes as a program with that mistake would.
"""
import contextlib

import torch
from transformers.models.gemma4 import modeling_gemma4 as gemma4

import hf_models
from hf_models import ReferenceError
from toy_models import LOCAL

LEAST_EFFECT = 100  # in tolerances


@contextlib.contextmanager
def replaced(owner, name, value):
    kept = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, kept)


def norms_with_one(_model):
    """Norms multiply by 1 + w, as in Gemma 1 to 3."""
    def forward(self, x):
        y = self._norm(x.float())
        return (y * (1.0 + self.weight.float()) if self.with_scale else y).type_as(x)

    return replaced(gemma4.Gemma4RMSNorm, "forward", forward)


def first_values_rotated(model):
    """Global layers rotate the first quarter of a head as a head of its own, with the right frequencies."""
    wide = model.config.per_layer_config["full_attention"].head_dim
    right = gemma4.apply_rotary_pos_emb

    def rotate(x, cos, sin, unsqueeze_dim=1):
        if x.shape[-1] != wide:
            return right(x, cos, sin, unsqueeze_dim)
        half = wide // 8
        cos, sin = (torch.cat([t[..., :half]] * 2, dim=-1) for t in (cos, sin))
        return torch.cat([right(x[..., : 2 * half], cos, sin, unsqueeze_dim), x[..., 2 * half :]], dim=-1)

    return replaced(gemma4, "apply_rotary_pos_emb", rotate)


@contextlib.contextmanager
def frequencies_of_rotated_part(model):
    """The exponents of the frequencies count rotated values where they must count all values of a head."""
    frequencies = model.model.rotary_emb.full_attention_inv_freq
    kept = frequencies.clone()
    frequencies.copy_(torch.where(kept == 0, kept, kept**4))
    try:
        yield
    finally:
        frequencies.copy_(kept)


def router(change):
    """Returns a router's function in which `change` maps (router, input) to (probabilities, scales of the experts).

    Whether the weights of the chosen experts sum to one before or after they are scaled, or never, does not show: the
    norm after the experts' sum removes a common factor.
    """
    def forward(self, x):
        p, scale = change(self, x)
        weights, index = torch.topk(p, k=self.config.top_k_experts, dim=-1)
        return p, weights / weights.sum(dim=-1, keepdim=True) * scale[index], index

    return replaced(gemma4.Gemma4TextRouter, "forward", forward)


def probabilities(self, x):
    return torch.softmax(self.proj(x * self.scalar_root_size), dim=-1, dtype=torch.float32)


def router_scale_before_norm(_model):
    """The router's scale multiplies its input before the norm."""
    return router(lambda self, x: (probabilities(self, self.norm(x * self.scale)), self.per_expert_scale))


def router_input_not_divided(_model):
    """The router's input is not multiplied by d^-0.5."""
    return router(lambda self, x: (probabilities(self, self.norm(x) * self.scale / self.scalar_root_size),
                                   self.per_expert_scale))


def expert_scale_before_choice(_model):
    """The scales of the experts take part in the choice of the experts."""
    return router(lambda self, x: (probabilities(self, self.norm(x) * self.scale) * self.per_expert_scale,
                                   torch.ones_like(self.per_expert_scale)))


def experts_not_scaled(_model):
    """The scales of the experts are ignored."""
    return router(lambda self, x: (probabilities(self, self.norm(x) * self.scale),
                                   torch.ones_like(self.per_expert_scale)))


@contextlib.contextmanager
def router_reads_normed_input(model):
    """The router reads what the experts read."""
    hooks = [layer.router.register_forward_pre_hook(
        lambda _router, inputs, norm=layer.pre_feedforward_layernorm_2: (norm(inputs[0]),))
        for layer in model.model.layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@contextlib.contextmanager
def shared_from_first(model):
    """Shared layers read the cache of the first layer of their kind where they must read the last that has one."""
    attention = [layer.self_attn for layer in model.model.layers]
    kept = [a.store_full_length_kv for a in attention]
    for a in attention:
        first = next(b for b in attention if b.layer_type == a.layer_type)
        a.store_full_length_kv = a is first
    try:
        yield
    finally:
        for a, stores in zip(attention, kept):
            a.store_full_length_kv = stores


def single_width(model):
    """Wide layers use only as many values as the others."""
    def forward(self, x):
        y = self.act_fn(self.gate_proj(x)) * self.up_proj(x)
        y[..., model.config.intermediate_size :] = 0
        return self.down_proj(y)

    return replaced(gemma4.Gemma4TextMLP, "forward", forward)


def value_is_normed_key(model):
    """Where values are keys, they are taken after k_norm, not before it."""
    right = gemma4.Gemma4RMSNorm.forward
    norms = {id(a.v_norm) for a in (layer.self_attn for layer in model.model.layers) if a.v_proj is None}
    last = []

    def forward(self, x):
        if id(self) in norms:
            return right(self, last[0])  # k_norm was the norm before
        last[:] = [right(self, x)]
        return last[0]

    return replaced(gemma4.Gemma4RMSNorm, "forward", forward)


def without_value_norm(model):
    """Values are not normalised."""
    right = gemma4.Gemma4RMSNorm.forward
    norms = {id(layer.self_attn.v_norm) for layer in model.model.layers if hasattr(layer.self_attn, "v_norm")}
    return replaced(gemma4.Gemma4RMSNorm, "forward", lambda self, x: x if id(self) in norms else right(self, x))


@contextlib.contextmanager
def scaled_queries(model):
    """Scores are multiplied by head_dim^-0.5."""
    attention = [layer.self_attn for layer in model.model.layers]
    for a in attention:
        a.scaling = a.head_dim**-0.5
    try:
        yield
    finally:
        for a in attention:
            a.scaling = 1.0


def window(by):
    @contextlib.contextmanager
    def other_window(model):
        model.config.sliding_window += by
        try:
            yield
        finally:
            model.config.sliding_window -= by

    other_window.__name__ = f"window{by:+d}"
    return other_window


@contextlib.contextmanager
def unscaled_layer_rows(model):
    """Rows of the table of per-layer embeddings are not multiplied by sqrt(P)."""
    scale = model.model.embed_tokens_per_layer.embed_scale
    kept = scale.clone()
    scale.fill_(1.0)
    try:
        yield
    finally:
        scale.copy_(kept)


def of(model):
    """Returns the mistakes that can show in this model."""
    config = model.config
    mistakes = [norms_with_one, first_values_rotated, frequencies_of_rotated_part, without_value_norm, scaled_queries,
                window(-1), window(+1)]
    if config.enable_moe_block:
        mistakes += [router_scale_before_norm, router_input_not_divided, expert_scale_before_choice,
                     experts_not_scaled, router_reads_normed_input]
    if config.num_kv_shared_layers:
        own = config.layer_types[: -config.num_kv_shared_layers]
        if own.count(LOCAL) > 1:
            mistakes.append(shared_from_first)
        if config.use_double_wide_mlp:
            mistakes.append(single_width)
    if config.attention_k_eq_v:
        mistakes.append(value_is_normed_key)
    if config.hidden_size_per_layer_input:
        mistakes.append(unscaled_layer_rows)
    return mistakes


def check(model, ids, right, unit):
    """Returns the effect of each mistake on the logits, in `unit`s. Fails if one is too small for the tests to see."""
    effects = {}
    for mistake in of(model):
        with mistake(model):
            effects[mistake.__name__] = float(abs(hf_models.logits(model, ids).numpy() - right).max() / unit)
    for name, effect in effects.items():
        if effect < LEAST_EFFECT:
            raise ReferenceError(f"the mistake {name} changes the logits by only {effect:.1f} tolerances")
    if abs(hf_models.logits(model, ids).numpy() - right).max() > 0:
        raise ReferenceError("a mistake did not end")
    return effects
