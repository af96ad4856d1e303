"""The part of LLM that looks inside the model, and changes what it finds."""

from __future__ import annotations

import os
from typing import Any, Callable, Mapping, NamedTuple, Sequence

import numpy as np

from libgemma import _core
from libgemma._base import Base
from libgemma._errors import InvalidArgumentError
from libgemma._measure import Text, positions

# function(site, activations)
TapFunction = Callable[[_core.TapSite, np.ndarray], Any]


class TokenFeatures(NamedTuple):
    """A token, and the features of an autoencoder that are active there."""

    token: int
    piece: str  # as the vocabulary spells it
    indices: np.ndarray  # uint64 [features]
    values: np.ndarray  # float32 [features], positive


def load_autoencoder(name: str | os.PathLike[str], weights: str = "bfloat16",
                     threads: int = 0) -> _core.SparseAutoencoder:
    """Loads a sparse autoencoder of "FILE" or "FILE:SITE", as `gemma scope --sae` does."""
    path, site = os.fspath(name), None
    if not os.path.exists(path) and ":" in path:
        path, _, site = path.rpartition(":")
    return _core.SparseAutoencoder(path, site, weights=weights, threads=threads)


class TapsMixin(Base):
    """The part of LLM with sessions, taps and features."""

    @property
    def num_layers(self) -> int:
        """The number of layers of the model."""
        return self._model.num_layers

    @property
    def model_dim(self) -> int:
        """The width of the residual stream."""
        return self._model.model_dim

    @property
    def vocab_size(self) -> int:
        """The number of tokens: the width of logits."""
        return self._model.vocab_size

    def session(self, *, max_tokens: int | None = None, cache: str | None = None,
                max_rollback: int = 16, checkpoint_interval: int = 0,
                max_checkpoints: int = 8) -> _core.Session:
        """Returns an empty sequence of its own, which computes beside the engine's requests.

        max_tokens, cache: those of the LLM if None.
        max_rollback: rewinding so many tokens costs nothing.
        checkpoint_interval: the tokens between automatic checkpoints; 0: none.
        max_checkpoints: the most checkpoints; above this, the oldest are dropped.
        """
        self._check_open()
        if max_tokens is None:
            max_tokens = self._engine_options()["context"]
        if cache is None:
            cache = self._options["cache"]
        return _core.Session(self._model, max_tokens=max_tokens, cache=cache,
                             max_rollback=max_rollback,
                             checkpoint_interval=checkpoint_interval,
                             max_checkpoints=max_checkpoints)

    def restore(self, path: str | os.PathLike[str]) -> _core.Session:
        """Returns the session that Session.save wrote. It continues exactly."""
        self._check_open()
        return _core.Session.restore(self._model, os.fspath(path))

    def tap(self, function: TapFunction | None = None, sites: str | Sequence[str] | None = None, *,
            steer: _core.Steer | Sequence[_core.Steer] = ()) -> _core.Tap:
        """Returns a tap, for Session.set_tap and for the option `tap` of generate.

        function: called as function(site, activations) with float32 [rows, columns]. The array is
            a copy of the activations, which is written back when the function returns; the function
            may keep it. If the function returns an array of this shape, that one takes effect.
        sites: "POINT", in all layers, or "POINT@LAYER", or a list of these; None: all. POINT is
            embedding, mix_input, mix_hidden, mix_output, mixed_stream, ffw_input, ffw_hidden,
            ffw_output, block_output, head_input or another of gemma/taps.h. Those of Gemma Scope
            (res@5) and of TransformerLens (blocks.5.hook_resid_post) are known too.
        steer: changes of features, applied before the function sees the activations of a site.

        The function runs on the thread that computes, and takes the GIL; in generate, all other
        requests wait for it. It must not use the session that it taps, nor wait for a different
        thread that computes. Its exception is raised by the call that
        computes.
        """
        self._check_open()
        return _core.Tap(self._model, function,
                         [sites] if isinstance(sites, str) else sites,
                         [steer] if isinstance(steer, _core.Steer) else list(steer))

    def _make_tap(self, steer: Any, tap: Any) -> _core.Tap | None:
        """Returns the tap of the options `steer` and `tap`, or None."""
        if isinstance(tap, _core.Tap):
            if steer is not None:
                raise InvalidArgumentError("steer: give it to the Tap that is passed as 'tap'")
            return tap
        function, sites = tap if isinstance(tap, tuple) else (tap, None)
        if steer is None and function is None:
            return None
        return self.tap(function, sites, steer=() if steer is None else steer)

    def run_with_cache(self, text: Text, sites: str | Sequence[str] = "block_output", *,
                       steer: Any = None, tap: Any = None,
                       parse_control: bool = False) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Returns the logits of a text, and the activations at sites.

        text: a text, which BOS is put before, or a list of tokens.
        sites: as for tap; "block_output" is the residual stream after each layer.
        steer, tap: changes, as for generate. The cache has the activations after them.

        Returns float32 [n, vocab_size], and a dictionary: a site of one place has its own name, and
        "block_output" becomes "block_output@0" and so on; each is float32 [n, columns].
        """
        tokens = self._text_tokens(text, parse_control)
        wanted = [sites] if isinstance(sites, str) else list(sites)
        places = dict(zip(wanted, _core.check_sites(self._model, wanted)))
        found: dict[str, list[np.ndarray]] = {name: [] for names in places.values()
                                              for name in names}
        inner = self._make_tap(steer, tap)

        def keep(site: _core.TapSite, activations: np.ndarray) -> None:
            if site.name in found:
                found[site.name].append(activations)

        session = self.session(max_tokens=max(1, positions(tokens)))
        try:
            session.set_tap(_core.Tap(self._model, keep, sorted(found), before=inner))
            logits = session.forward_all(tokens)
        finally:
            session.close()
        arrays = {name: np.concatenate(rows) for name, rows in found.items()}
        cache = {}
        for wish, names in places.items():
            if len(names) == 1:
                cache[wish] = arrays[names[0]]
            else:
                cache.update({name: arrays[name] for name in names})
        return logits, cache

    # Features.

    @property
    def autoencoders(self) -> Mapping[str, _core.SparseAutoencoder]:
        """The autoencoders of the option of this name; loaded when they are first asked for."""
        loaded = self.__dict__.get("_loaded_autoencoders")
        if loaded is None:
            loaded = {name: load_autoencoder(path)
                      for name, path in self._options["autoencoders"].items()}
            self._loaded_autoencoders = loaded
        return loaded

    def _autoencoder(self, wish: Any) -> _core.SparseAutoencoder:
        if isinstance(wish, _core.SparseAutoencoder):
            return wish
        if isinstance(wish, str) and wish in self._options["autoencoders"]:
            return self.autoencoders[wish]
        raise InvalidArgumentError(
            f"the autoencoder is {wish!r:.100}, wanted a SparseAutoencoder or one of the names "
            f"{', '.join(self._options['autoencoders']) or '(LLM has none)'}")

    def features(self, text: Text, autoencoder: Any, *, top: int = 0,
                 features: Sequence[int] = (), steer: Any = (), parse_control: bool = False) -> Any:
        """Returns the active features of each token of a text, as a list of TokenFeatures.

        text: a text, which BOS is put before, or a list of tokens.
        autoencoder: a SparseAutoencoder, or a name of the option `autoencoders`; a list of these
            returns a list for each, from one pass over the text.
        top: only the strongest of each token, in descending order; 0: all, by ascending index.
        features: if given, only these. Each costs little, and all others nothing.
        steer: changes of features. Those at the site of an autoencoder come after it reads, those
            before it change what it finds.
        """
        tokens = self._text_tokens(text, parse_control)
        several = isinstance(autoencoder, (list, tuple))
        wanted = [self._autoencoder(wish) for wish in (autoencoder if several else [autoencoder])]
        found = _core.features(self._model, tokens, wanted, top=top, wanted=list(features),
                               steer=[steer] if isinstance(steer, _core.Steer) else list(steer),
                               cache=self._options["cache"])
        pieces = [str(self._model.piece(int(token))) for token in tokens]
        results = [[TokenFeatures(int(token), piece, indices, values)
                    for token, piece, (indices, values) in zip(tokens, pieces, rows)]
                   for rows in found]
        return results if several else results[0]
