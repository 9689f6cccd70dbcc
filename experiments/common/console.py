"""Where commands write: results to stdout, everything else to stderr."""

from __future__ import annotations

import logging
import warnings

from rich.console import Console

out = Console()
err = Console(stderr=True)


def quiet_libraries() -> None:
    """Keeps libraries from writing over the progress bars."""
    import datasets
    import transformers

    datasets.disable_progress_bars()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    warnings.filterwarnings("ignore", category=FutureWarning)
    logging.getLogger("httpx").setLevel(logging.WARNING)
