"""What the parts of LLM use of each other."""

from __future__ import annotations

from typing import Any, Mapping

from libgemma import _core

TYPE_CHECKING = False


class Base:
    """The parts of LLM derive from it, so that checkers of types know the others."""

    name: str
    path: str
    _model: _core.Model
    _options: dict[str, Any]

    if TYPE_CHECKING:
        def _check_open(self) -> None: ...

        def _engine_options(self) -> dict[str, Any]: ...

        def _read_prompt(self, prompt: Any, options: Mapping[str, Any]) -> tuple[Any, bool]: ...

        def _text_tokens(self, text: Any, parse_control: bool = False) -> Any: ...
