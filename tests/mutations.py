"""Inputs that were right once: hypothesis strategies that change valid JSON, text and bytes."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

ODD_TEXTS = st.one_of(
    st.text(alphabet=st.characters(), max_size=20),
    st.sampled_from(
        [
            "", " ", "\x1b[2J", "\u202e", "\u200b", "\ufeff", "\u2028", "\ud83d", "../../x", "/etc",
            "nan", "none", "[red]", "<script>", "<|im_start|>", "a" * 5000, "=@+#", "http://",
        ]
    ),
)  # fmt: skip
"""Any text, often one that has led programs astray."""

ODD_VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-9, 9),
        st.sampled_from([10**400, -(2**63), 2**64, 1e308, float("nan"), float("inf")]),
        st.floats(),
        ODD_TEXTS,
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ODD_TEXTS, inner, max_size=3),
    max_leaves=5,
)
"""Any JSON value, and numbers that JSON has not, as Python writes them."""


@st.composite
def mutated_json(draw: st.DrawFn, valid: Any, changes: int = 3) -> Any:
    """A copy of a JSON value with one to `changes` places changed."""
    value = json.loads(json.dumps(valid))
    for _ in range(draw(st.integers(1, changes))):
        value = _changed(draw, value)
    return value


def _changed(draw: st.DrawFn, value: Any) -> Any:
    """The value with one place changed: itself, or one somewhere within."""
    is_container = isinstance(value, dict | list) and value
    if is_container and draw(st.integers(0, 5)):
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        key = draw(st.sampled_from(keys))
        action = draw(st.sampled_from(["within"] * 4 + ["remove", "add", "swap"]))
        if action == "within":
            value[key] = _changed(draw, value[key])
        elif action == "remove":
            del value[key]
        elif action == "swap":
            other = draw(st.sampled_from(keys))
            value[key], value[other] = value[other], value[key]
        elif isinstance(value, dict):
            value[draw(ODD_TEXTS)] = draw(ODD_VALUES)
        else:
            value.insert(key, value[key])
        return value
    return draw(ODD_VALUES)


def as_bytes(value: Any) -> bytes:
    """JSON as some program might write it, halves of surrogate pairs included."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", errors="surrogatepass")


@st.composite
def mutated_bytes(draw: st.DrawFn, valid: bytes, changes: int = 4) -> bytes:
    """The bytes with some of them changed, removed, doubled or cut off."""
    data = bytearray(valid)
    for _ in range(draw(st.integers(1, changes))):
        place = draw(st.integers(0, len(data)))
        end = min(len(data), place + draw(st.integers(0, 12)))
        action = draw(st.sampled_from(["replace", "double", "cut"]))
        if action == "replace":
            odd = ODD_TEXTS.map(lambda text: text.encode("utf-8", errors="surrogatepass"))
            data[place:end] = draw(st.binary(max_size=6) | odd)
        elif action == "double":
            data[place:place] = data[place:end] * draw(st.sampled_from([1, 2, 900]))
        else:
            del data[place:]
    return bytes(data)


def files(valid: Any) -> st.SearchStrategy[bytes]:
    """A JSON file's content: changed values, changed bytes, or anything at all."""
    return st.one_of(
        mutated_json(valid).map(as_bytes), mutated_bytes(as_bytes(valid)), st.binary(max_size=40)
    )


def texts(valid: str) -> st.SearchStrategy[str]:
    """A text with changes, or any other; halves of surrogate pairs included."""
    changed = mutated_bytes(valid.encode()).map(
        lambda data: data.decode("utf-8", errors="surrogateescape")
    )
    return changed | ODD_TEXTS
