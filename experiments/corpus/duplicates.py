"""Turns that nearly repeat a turn of another scenario."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from persuade_env.dialogue import ScenarioRecord

NEAR = 0.4
"""Jaccard similarity of two turns' sets of word pairs from which they are near-duplicates."""
MIN_WORDS = 8
"""Shorter turns ("Thank you, I'll think about it.") may be alike."""
_ROWS = 512


def near_duplicate_share(records: Sequence[ScenarioRecord], near: float = NEAR) -> float:
    """Share of turns of `MIN_WORDS` or more words that nearly repeat one of another scenario.

    Args:
        records: scenarios with recorded dialogues.
        near: Jaccard similarity of the sets of word pairs that counts as near, 0 to 1.

    Returns:
        A share, 0 to 1; NaN without turns.
    """
    from sklearn.feature_extraction.text import CountVectorizer

    turns = [
        (turn.response, record.id)
        for record in records
        for recorded in record.dialogues
        for turn in recorded.turns
        if len(turn.response.split()) >= MIN_WORDS
    ]
    if not turns:
        return float("nan")
    vectorizer = CountVectorizer(
        ngram_range=(2, 2), binary=True, token_pattern=r"[^\W_]+(?:'[^\W_]+)?", dtype=np.float32
    )
    pairs = vectorizer.fit_transform([text for text, _ in turns]).tocsr()
    sizes = np.asarray(pairs.sum(axis=1)).ravel()
    _, scenario = np.unique([scenario for _, scenario in turns], return_inverse=True)
    duplicates = 0
    for start in range(0, len(turns), _ROWS):
        rows = slice(start, start + _ROWS)
        shared = (pairs[rows] @ pairs.T).tocoo()
        row, column = shared.row + start, shared.col
        similarity = shared.data / (sizes[row] + sizes[column] - shared.data)
        hits = (similarity >= near) & (scenario[row] != scenario[column])
        duplicates += len(np.unique(row[hits]))
    return duplicates / len(turns)
